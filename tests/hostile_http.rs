//! Strangers on the HTTP side, and viewers who ask for too much: a running viewer never stalls, memory stays flat, and
//! nothing of them is left. (Which status each gets is for `whep_limits.rs` and its neighbours.)
#![allow(missing_docs, clippy::unwrap_used)]

mod hostile_rig;
#[path = "common/rig/mod.rs"]
mod rig;
mod whep_rig;

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::rtp::rtcp;

use hostile_rig::Stage;
use hostile_rig::watcher::Watcher;
use whep_rig::checks::{check, ice};
use whep_rig::{OFFER, call, play, post, send, settings};

/// For anything that takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTACK: Duration = Duration::from_millis(700);

#[test]
fn three_hundred_posts_that_never_connect_leave_nothing() {
    let mut settings = settings();
    settings.setup_timeout = Duration::from_secs(2);
    settings.max_half_open = 200;
    let stage = Stage::new(settings);
    let counters = stage.subsystem.counters();
    let mut last = None;
    stage.endure(|stage| {
        for _ in 0..300 {
            let response = play(&stage.subsystem, "/whep/cam");
            match response.status().as_u16() {
                201 => last = Some(ice(response.body())),
                status => assert_eq!(status, 503),
            }
        }
        stage.until_sessions(1);
    });
    assert!(counters.sessions_refused.value() > 0);
    let created = counters.sessions_total.value() - 1;
    assert_eq!(counters.sessions_failed.value(), created);
    assert_eq!(created + counters.sessions_refused.value(), 900);
    // Nobody knows the last one's ufrag any more.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = counters.stun_rejected.value();
    assert!(check(&socket, stage.address(), &last.unwrap(), true).is_none());
    assert_eq!(counters.stun_rejected.value() - before, 1);
}

#[test]
fn offers_of_a_hundred_thousand_lines_and_of_ten_megabytes_harm_no_viewer() {
    let mut settings = settings();
    settings.http_body_max = 16 << 20;
    let stage = Stage::new(settings);
    let lines = [
        "a=rtpmap:96 VP8/90000\r\n",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        "\r\n",
    ];
    let mut bodies: Vec<_> = lines
        .iter()
        .map(|line| Bytes::from(format!("{OFFER}{}", line.repeat(100_000))))
        .collect();
    bodies.push(Bytes::from(format!(
        "{OFFER}a={}\r\n",
        "x".repeat(10 << 20)
    )));
    bodies.push(Bytes::from(vec![0xff; 10 << 20]));
    stage.endure(|stage| {
        for body in &bodies {
            for kind in ["application/sdp", "application/trickle-ice-sdpfrag"] {
                let path = if kind.ends_with("frag") {
                    &stage.watcher.url
                } else {
                    "/whep/cam"
                };
                let mut request = post(path).body(body.clone()).unwrap();
                if kind.ends_with("frag") {
                    *request.method_mut() = http::Method::PATCH;
                    let kind = http::HeaderValue::from_static("application/trickle-ice-sdpfrag");
                    request.headers_mut().insert("content-type", kind);
                }
                let status = send(&stage.subsystem, request).status();
                assert!(
                    status.is_client_error() || status == 204,
                    "{kind}: {status}"
                );
            }
        }
    });
    stage.until_sessions(1);
}

#[test]
fn a_viewer_who_asks_for_everything_again_and_for_key_frames_takes_from_nobody() {
    let mut settings = settings();
    settings.gop_cache = Duration::from_secs(12);
    let stage = Stage::new(settings);
    let counters = stage.subsystem.counters();
    let greedy = Watcher::play(&stage.subsystem, "/whep/cam");
    let again = Instant::now();
    stage.endure(|_| {
        let end = Instant::now() + ATTACK;
        while Instant::now() < end {
            let seen = greedy.seen();
            for _ in 0..5 {
                greedy.say(nack_of_everything(seen.ssrc, seen.last_seq));
                let mut pli = Vec::new();
                rtcp::write_pli(&mut pli, 7, seen.ssrc);
                greedy.say(pli);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    assert!(counters.pli_in.value() > 100);
    assert!(counters.nack_in.value() > 10_000);
    assert!(counters.nack_unrepaired.value() > 0);
    let deadline = Instant::now() + PATIENCE;
    let settled = || counters.repaired.value() + counters.nack_unrepaired.value();
    while settled() < counters.nack_in.value() {
        assert!(Instant::now() < deadline, "{:?}", counters.all());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(settled(), counters.nack_in.value());
    // The allowance of repairs: a burst, then a part of the stream's own rate, which is 45 kB/s here.
    let bytes = counters.repaired.value() * 950;
    let most = 200_000.0 + 700_000.0 * again.elapsed().as_secs_f64();
    assert!((bytes as f64) < most, "{bytes} of {most}");
    let seen = greedy.seen();
    assert!(seen.connected, "{seen:?}");
}

/// RFC 4585 §6.2.1: the 1700 packets before `last`.
fn nack_of_everything(ssrc: u32, last: u16) -> Vec<u8> {
    const PAIRS: u16 = 100;
    let mut packet = vec![0x81, 205];
    packet.extend((PAIRS + 2).to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(ssrc.to_be_bytes());
    for pair in 0..PAIRS {
        packet.extend(last.wrapping_sub(pair * 17 + 16).to_be_bytes());
        packet.extend([0xff; 2]);
    }
    packet
}

#[test]
fn slow_clients_and_a_flood_of_requests_harm_no_viewer() {
    let mut settings = settings();
    settings.http_timeout = Duration::from_millis(600);
    let stage = Stage::new(settings);
    let port = stage.subsystem.http_listen("127.0.0.1:0").unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    stage.endure(|stage| {
        let mut slow: Vec<_> = (0..200).map(|_| connect()).collect();
        let begun = b"POST /whep/cam HTTP/1.1\r\nHost: x\r\nX-Slow: ";
        for (number, stream) in slow.iter_mut().enumerate() {
            let _ = stream.write_all(&begun[..number % begun.len()]);
        }
        let end = Instant::now() + ATTACK;
        while Instant::now() < end {
            for stream in &mut slow {
                // Who took too long is cut off.
                let _ = stream.write(b"a");
            }
            for path in ["/whep/cam", &stage.watcher.url, "/whep/nobody", "/%00"] {
                for method in ["GET", "PATCH", "OPTIONS", "TRACE"] {
                    let status = call(&stage.subsystem, method, path).status();
                    assert!(status.as_u16() < 500, "{method} {path}: {status}");
                }
            }
        }
        // A quick one is answered beside them.
        let mut quick = connect();
        quick.set_read_timeout(Some(PATIENCE)).unwrap();
        quick
            .write_all(b"OPTIONS /whep/cam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        quick.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    });
    stage.until_sessions(1);
}
