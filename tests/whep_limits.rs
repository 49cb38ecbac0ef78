//! Strangers: POSTs that never connect, bombs, forged session URLs, hostile ids; limits and what they answer.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::subsystem::Subsystem;
use http::Request;
use whep_rig::checks::{check, ice};
use whep_rig::*;

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn failed(subsystem: &Subsystem) -> u64 {
    subsystem.counters().sessions_failed.value()
}

/// P012, P013, P046: 300 POSTs that never connect meet the cap, expire, and leave one who did connect alone.
#[test]
fn posts_that_never_connect_meet_the_cap_and_expire() {
    let mut settings = settings();
    settings.setup_timeout = Duration::from_secs(5);
    settings.max_half_open = 100;
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    // Who sends a check is half open no longer.
    let checked = play_once_live(&subsystem, "/whep/cam");
    let ours = ice(checked.body());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(check(&socket, ours.candidates[0], &ours, true).is_some());
    let started = Instant::now();
    let mut refused = 0;
    for _ in 0..300 {
        let response = play(&subsystem, "/whep/cam");
        if response.status() != 201 {
            assert_problem(&response, 503, "MAX_HALF_OPEN");
            assert!(header(&response, "retry-after").parse::<u32>().unwrap() > 0);
            refused += 1;
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "too slow a machine for this"
    );
    let counters = subsystem.counters();
    assert!((199..=200).contains(&refused), "{refused}");
    assert_eq!(counters.sessions_refused.value(), refused);
    assert_eq!(counters.http_5xx.value(), refused);
    // The one that checks is answered all the while.
    assert!(check(&socket, ours.candidates[0], &ours, true).is_some());
    eventually("they expire", || failed(&subsystem) >= 300 - refused);
    assert_eq!(play(&subsystem, "/whep/cam").status(), 201);
}

/// P013: per stream and in all.
#[test]
fn limits_of_a_stream_and_of_all_are_503() {
    let mut settings = settings();
    settings.max_viewers_per_stream = 1;
    settings.max_sessions = 2;
    let subsystem = subsystem(settings);
    let _one = fed(&subsystem, "one", true, true);
    let _two = fed(&subsystem, "two", true, true);
    let _three = fed(&subsystem, "three", true, true);
    play_once_live(&subsystem, "/whep/one");
    assert_problem(
        &play(&subsystem, "/whep/one"),
        503,
        "MAX_VIEWERS_PER_STREAM",
    );
    play_once_live(&subsystem, "/whep/two");
    eventually("the third stream plays", || {
        let response = play(&subsystem, "/whep/three");
        assert_ne!(response.status(), 201);
        response.status() == 503
    });
    assert_problem(&play(&subsystem, "/whep/three"), 503, "MAX_SESSIONS");
    assert!(subsystem.counters().sessions_refused.value() >= 3);
}

/// P012: ADDRESS_RATE_MAX holds POST, PATCH and DELETE of one address; reading and preflights are free.
#[test]
fn an_address_that_asks_too_often_is_429() {
    let mut settings = settings();
    settings.address_rate_max = 5;
    let subsystem = subsystem(settings);
    let from = |address: &str, method: &str| {
        let request = Request::builder().method(method).uri("/whep/nobody");
        let request = request.body(Bytes::new()).unwrap();
        subsystem
            .http_handle(request, address, Duration::ZERO)
            .unwrap()
    };
    for method in ["POST", "PATCH", "DELETE", "POST", "POST"] {
        assert_ne!(from("192.0.2.1:1000", method).status(), 429);
    }
    for method in ["POST", "PATCH", "DELETE"] {
        let refused = from("192.0.2.1:2000", method);
        assert_problem(&refused, 429, "ADDRESS_RATE_MAX");
        assert_eq!(header(&refused, "retry-after"), "12");
    }
    assert_eq!(subsystem.counters().http_rate_limited.value(), 3);
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_ne!(from("192.0.2.1:1000", method).status(), 429, "{method}");
    }
    assert_ne!(from("192.0.2.2:1000", "POST").status(), 429);
}

/// An offer of 10^5 lines is refused at once, above the body limit and below a larger one.
#[test]
fn sdp_bombs_are_4xx_at_once() {
    let mut settings = settings();
    settings.http_body_max = 16 << 20;
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    play_once_live(&subsystem, "/whep/cam");
    let started = Instant::now();
    let before = subsystem.counters().http_4xx.value();
    let bombs = [
        "a=x\r\n",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        "a=rtpmap:96 VP8/90000\r\n",
        "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n",
        "\r\n",
    ];
    for line in bombs {
        let body = format!("{OFFER}{}", line.repeat(100_000));
        let request = post("/whep/cam").body(Bytes::from(body)).unwrap();
        let status = send(&subsystem, request).status();
        assert!(status.is_client_error(), "{line:?}: {status}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        subsystem.counters().http_4xx.value(),
        before + bombs.len() as u64
    );
    assert_eq!(play(&subsystem, "/whep/cam").status(), 201);
}

/// P011: session URLs of nobody, of another stream's path, and cut ones.
#[test]
fn forged_session_urls_are_404() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam");
    let url = header(&created, "location").to_owned();
    let secret = url.rsplit('/').next().unwrap();
    let public = subsystem.stats_json();
    assert!(
        !public.contains(secret),
        "the secret is nobody's but the client's"
    );
    let stats: serde_json::Value = serde_json::from_str(&public).unwrap();
    let public = stats["sessions"][0]["session"].as_str().unwrap();
    let before = subsystem.counters().http_4xx.value();
    let forged = [
        format!("/whep/cam/{public}"),
        url[..url.len() - 1].to_owned(),
        format!("{url}0"),
        url.to_uppercase().replace("/WHEP/CAM", "/whep/cam"),
        format!("/whep/cam/{}", "0".repeat(secret.len())),
        format!("/whep/cam/%00{secret}"),
        "/whep/cam/..%2f..".to_owned(),
    ];
    for path in &forged {
        for method in ["PATCH", "DELETE", "GET"] {
            assert_problem(&call(&subsystem, method, path), 404, "");
        }
    }
    let refused = subsystem.counters().http_4xx.value() - before;
    assert_eq!(refused, 3 * forged.len() as u64);
    assert_eq!(call(&subsystem, "DELETE", &url).status(), 200);
}

/// Control bytes and CRLF in ids stay data: nothing of them reaches a header line.
#[test]
fn hostile_ids_are_404_and_split_no_header() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "a\r\nX-Evil: 1", true, true);
    let created = play_once_live(&subsystem, "/whep/a%0D%0AX-Evil%3A%201");
    assert!(header(&created, "location").starts_with("/whep/a%0D%0AX-Evil%3A%201/"));
    assert_eq!(header(&created, "x-evil"), "");
    for id in [
        "%00",
        "a%00b",
        "%FF%FE",
        "%0D%0A",
        "%1B%5B2J",
        &"x".repeat(600),
    ] {
        let response = play(&subsystem, &format!("/whep/{id}"));
        assert_problem(&response, 404, "");
    }
}
