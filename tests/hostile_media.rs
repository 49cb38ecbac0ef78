//! Strangers on the media socket: floods of garbage, checks and hand-shakes. A running viewer never stalls, memory stays
//! flat, every datagram is counted.
#![allow(missing_docs, clippy::unwrap_used)]

mod hostile_rig;
#[path = "common/rig/mod.rs"]
mod rig;
mod whep_rig;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Identity, Role};

use hostile_rig::Stage;
use rig::stun::Check;
use whep_rig::checks::{check, ice};
use whep_rig::{play, settings};

/// For anything that takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTACK: Duration = Duration::from_millis(700);

/// Calls `burst` once a millisecond for a while, with the number of the call.
fn keep_up(mut burst: impl FnMut(usize)) {
    let end = Instant::now() + ATTACK;
    let mut number = 0;
    while Instant::now() < end {
        burst(number);
        number += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn strangers(count: usize) -> Vec<UdpSocket> {
    (0..count)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect()
}

/// A check to the session of these credentials.
fn check_of(ufrag: &str, pwd: &str, number: usize) -> Vec<u8> {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let check = Check {
        id,
        ufrags: (ufrag, "stranger"),
        pwd,
        controlled: false,
        nominates: true,
        more: &[],
    };
    check.write()
}

/// The first flight of a client that nobody asked for, in pieces of `len` bytes each with a header of its own.
fn hello_fragments(len: usize) -> Vec<Vec<u8>> {
    let now = Instant::now();
    let identity = Identity::generate().unwrap();
    let nobody = [("sha-256".to_owned(), vec![0; 32])];
    let mut client = Connection::new(&identity, Role::Client, &nobody, now).unwrap();
    client.handle_timeout(now);
    let hello = client.poll_transmit().unwrap();
    let (record, message) = (&hello[..13], &hello[13..]);
    let (head, body) = message.split_at(12);
    let pieces = body.chunks(len).enumerate().map(|(number, piece)| {
        // RFC 6347 §4.2.2: type, length, sequence stay; offset and length are the fragment's.
        let mut fragment = head[..6].to_vec();
        fragment.extend(&(number as u32 * len as u32).to_be_bytes()[1..]);
        fragment.extend(&(piece.len() as u32).to_be_bytes()[1..]);
        fragment.extend(piece);
        let mut datagram = record[..11].to_vec();
        datagram.extend((fragment.len() as u16).to_be_bytes());
        datagram.extend(fragment);
        datagram
    });
    pieces.collect()
}

#[test]
fn garbage_of_every_first_byte_harms_no_viewer() {
    let stage = Stage::new(settings());
    let counters = stage.subsystem.counters();
    let before = counters.datagrams_unknown.value() + counters.stun_rejected.value();
    let strangers = strangers(20);
    stage.endure(|stage| {
        keep_up(|number| {
            for (index, stranger) in strangers.iter().enumerate() {
                let bytes = [(number * 20 + index) as u8; 3000];
                let len = [0, 1, 12, 20, 100, 1200, 3000][number % 7];
                let _ = stranger.send_to(&bytes[..len], stage.address());
            }
        });
    });
    let after = counters.datagrams_unknown.value() + counters.stun_rejected.value();
    assert!(after - before > 1000, "{}", after - before);
    assert_eq!(stage.sessions(), 1);
}

#[test]
fn checks_for_nobody_and_with_a_wrong_password_are_dropped() {
    let stage = Stage::new(settings());
    let counters = stage.subsystem.counters();
    let before = counters.stun_rejected.value();
    let strangers = strangers(10);
    stage.endure(|stage| {
        keep_up(|number| {
            let nobody = check_of("nobody", &stage.watcher.ice.pwd, number);
            let forged = check_of(&stage.watcher.ice.ufrag, "wrong-password-of-nobody", number);
            for stranger in &strangers {
                let _ = stranger.send_to(&nobody, stage.address());
                let _ = stranger.send_to(&forged, stage.address());
            }
        });
    });
    assert!(counters.stun_rejected.value() - before > 1000);
    for stranger in &strangers {
        stranger.set_nonblocking(true).unwrap();
        assert!(stranger.recv(&mut [0; 100]).is_err(), "none was answered");
    }
}

/// Whoever overhears a check can send it again from anywhere: it makes an address known, moves no media, and what comes
/// from there under other keys is counted and dropped.
#[test]
fn replayed_checks_and_rtcp_under_other_keys_move_no_media() {
    let stage = Stage::new(settings());
    let counters = stage.subsystem.counters();
    let strangers = strangers(30);
    let recorded = check_of(&stage.watcher.ice.ufrag, &stage.watcher.ice.pwd, 1);
    // A receiver report of nobody's key.
    let mut forged = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
    forged.extend([0x55; 16]);
    forged.extend(0x8000_0001_u32.to_be_bytes());
    let before = counters.srtp_rejected.value();
    stage.endure(|stage| {
        keep_up(|number| {
            let stranger = &strangers[number % strangers.len()];
            let _ = stranger.send_to(&recorded, stage.address());
            for _ in 0..10 {
                let _ = stranger.send_to(&forged, stage.address());
            }
        });
    });
    assert!(counters.srtp_rejected.value() - before > 500);
    let mut got = 0;
    for stranger in &strangers {
        stranger.set_nonblocking(true).unwrap();
        let mut bytes = [0; 2000];
        while let Ok(len) = stranger.recv(&mut bytes) {
            assert!(bytes[0] < 4, "an answer to its check and nothing else");
            got += len;
        }
    }
    assert!(got > 0);
}

#[test]
fn pieces_of_hand_shakes_harm_no_viewer_and_what_is_too_much_is_dropped() {
    let mut settings = settings();
    settings.setup_timeout = Duration::from_millis(1500);
    let stage = Stage::new(settings);
    let counters = stage.subsystem.counters();
    let fragments = [
        hello_fragments(1),
        hello_fragments(40),
        hello_fragments(4000),
    ];
    stage.endure(|stage| {
        let created = play(&stage.subsystem, "/whep/cam");
        assert_eq!(created.status(), 201);
        let ours = ice(created.body());
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(check(&stranger, stage.address(), &ours, true).is_some());
        // Of one who speaks before it was asked to: another socket, unknown.
        let unknown = UdpSocket::bind("127.0.0.1:0").unwrap();
        keep_up(|number| {
            for fragment in fragments[number % 3].iter().take(40) {
                let _ = stranger.send_to(fragment, stage.address());
                let _ = unknown.send_to(fragment, stage.address());
            }
        });
        stage.until_sessions(1);
    });
    assert!(counters.dtls_dropped.value() > 0);
    assert!(counters.sessions_failed.value() >= 3);
    assert!(counters.datagrams_unknown.value() > 0);
}

/// A certificate that is not the one of the offer: the hand-shake fails, and is counted.
#[test]
fn a_hand_shake_with_another_certificate_fails_and_is_counted() {
    let stage = Stage::new(settings());
    let counters = stage.subsystem.counters();
    let created = play(&stage.subsystem, "/whep/cam");
    let ours = ice(created.body());
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(check(&stranger, stage.address(), &ours, true).is_some());
    let identity = Identity::generate().unwrap();
    let any = [("sha-256".to_owned(), fingerprint(created.body()))];
    let mut client = Connection::new(&identity, Role::Client, &any, Instant::now()).unwrap();
    stranger
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while counters.dtls_failed.value() == 0 {
        assert!(Instant::now() < deadline, "{:?}", counters.all());
        if client.next_timeout().is_some_and(|at| at <= Instant::now()) {
            client.handle_timeout(Instant::now());
        }
        while let Some(datagram) = client.poll_transmit() {
            stranger.send_to(&datagram, stage.address()).unwrap();
        }
        let mut bytes = [0; 2000];
        if let Ok(len) = stranger.recv(&mut bytes) {
            client.feed(&bytes[..len], Instant::now());
        }
    }
    stage.until_sessions(1);
    assert_eq!(counters.dtls_failed.value(), 1);
    assert_eq!(counters.sessions_failed.value(), 1);
}

fn fingerprint(answer: &[u8]) -> Vec<u8> {
    let answer = std::str::from_utf8(answer).unwrap();
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("a=fingerprint:sha-256 "));
    let bytes = line.unwrap().split(':');
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}
