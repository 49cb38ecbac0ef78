//! The library's own listener: pages, limits, slow clients, and a port that is free afterwards.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use corertc::subsystem::Subsystem;
use rustix::process::{Resource, getrlimit, setrlimit};
use whep_rig::*;

fn listen(subsystem: &Subsystem) -> u16 {
    subsystem.http_listen("127.0.0.1:0").expect("a listener")
}

/// Sends raw bytes and reads until the server closes.
fn raw(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(port: u16, path: &str) -> String {
    raw(
        port,
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

#[test]
fn a_post_over_tcp_plays_and_a_delete_ends() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "cam", true, true);
    play_once_live(&subsystem, "/whep/cam");
    let port = listen(&subsystem);
    let request = format!(
        "POST /whep/cam HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{OFFER}",
        OFFER.len()
    );
    let answer = raw(port, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let location = answer
        .lines()
        // C005: OBS reads behind the first blank.
        .find_map(|line| line.strip_prefix("location: "))
        .expect("a Location");
    let delete = raw(
        port,
        format!("DELETE {location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    assert!(delete.starts_with("HTTP/1.1 200"), "{delete}");
}

#[test]
fn pages_list_and_play_hostile_ids_as_text() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "<img src=x>\"/é", true, true);
    let port = listen(&subsystem);
    let list = get(port, "/");
    assert!(
        list.starts_with("HTTP/1.1 200")
            && list.contains("content-security-policy: default-src 'none'")
    );
    assert!(
        list.contains("href=\"play/%3Cimg%20src%3Dx%3E%22%2F%C3%A9\""),
        "{list}"
    );
    assert!(!list.contains("<img src=x"));
    let play = get(port, "/play/%3Cimg%20src%3Dx%3E%22%2F%C3%A9");
    assert!(
        play.contains("data-endpoint=\"../whep/%3Cimg%20src%3Dx%3E%22%2F%C3%A9\""),
        "{play}"
    );
    assert!(play.contains("&lt;img src=x&gt;&quot;/é") && !play.contains("<img src=x"));
    assert!(get(port, "/play/a/b").contains("src=\"../../assets/play.js\""));
    for (asset, kind) in [
        ("play.js", "text/javascript"),
        ("page.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = get(port, &format!("/assets/{asset}"));
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("content-type: {kind}")),
            "{asset}"
        );
    }
    assert!(get(port, "/assets/../secret").starts_with("HTTP/1.1 404"));
    assert!(get(port, "/healthz").ends_with("ok\n"));
    assert!(get(port, "/metrics").starts_with("HTTP/1.1 200"));
    let head = raw(
        port,
        b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"));
    let post = raw(
        port,
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(
        post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"),
        "{post}"
    );
}

#[test]
fn pages_can_be_switched_off_and_stand_below_a_prefix() {
    let mut off = settings();
    off.pages = false;
    let off = subsystem(off);
    let port = listen(&off);
    for path in ["/", "/play/x", "/assets/play.js"] {
        assert!(get(port, path).starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
    let mut below = settings();
    below.path_prefix = "/rtc".to_owned();
    let below = subsystem(below);
    let port = listen(&below);
    assert!(get(port, "/rtc/").starts_with("HTTP/1.1 200"));
    let bare = get(port, "/rtc");
    assert!(
        bare.starts_with("HTTP/1.1 308") && bare.contains("location: rtc/\r\n"),
        "{bare}"
    );
    // P025: a token survives it.
    assert!(get(port, "/rtc?token=a%2Fb").contains("location: rtc/?token=a%2Fb\r\n"));
    assert!(get(port, "/").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_list_behind_a_token_tells_nothing_without_it() {
    let mut settings = settings();
    settings.play_token = Some("s3cret".to_owned());
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "hidden", false, false);
    let port = listen(&subsystem);
    let without = get(port, "/");
    assert!(without.starts_with("HTTP/1.1 401") && !without.contains("hidden"));
    assert!(get(port, "/?token=s3cret").contains("play/hidden?token=s3cret"));
}

/// P004: a body above the limit is 413, sized or chunked.
#[test]
fn oversized_bodies_are_413() {
    let mut settings = settings();
    settings.http_body_max = 1000;
    let subsystem = subsystem(settings);
    let port = listen(&subsystem);
    let head = "POST /whep/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/sdp\r\n";
    let sized = raw(
        port,
        format!("{head}Content-Length: 1001\r\n\r\n{}", "a".repeat(1001)).as_bytes(),
    );
    assert!(
        sized.starts_with("HTTP/1.1 413") && sized.contains("access-control-allow-origin"),
        "{sized}"
    );
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001));
    let chunked = raw(
        port,
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}").as_bytes(),
    );
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    // RFC 9110 §10.1.1: who asks first need not send it.
    let asked = raw(
        port,
        format!("{head}Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n").as_bytes(),
    );
    assert!(asked.starts_with("HTTP/1.1 413"), "{asked}");
    assert_eq!(subsystem.counters().http_4xx.value(), 3);
}

#[test]
fn slow_clients_are_cut_off_and_hold_nobody_up() {
    let mut settings = settings();
    settings.http_timeout = Duration::from_millis(500);
    let subsystem = subsystem(settings);
    let port = listen(&subsystem);
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    for (index, stream) in slow.iter_mut().enumerate() {
        let part: &[u8] = match index % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost",
            _ => b"POST /whep/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        };
        stream.write_all(part).unwrap();
    }
    assert!(get(port, "/healthz").ends_with("ok\n"));
    let started = Instant::now();
    for stream in &mut slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut rest = Vec::new();
        // The end, clean or reset: what matters is that it comes.
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

/// More connections than there are places, none of which asks for anything whole, and long before they time out.
#[test]
fn a_crowd_of_slow_clients_gives_way_to_whoever_asks() {
    const CROWD: usize = 1100;
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let mut settings = settings();
    settings.http_timeout = Duration::from_secs(60);
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    play_once_live(&subsystem, "/whep/cam");
    let port = listen(&subsystem);
    let parts: [&[u8]; 3] = [
        b"",
        b"POST /whep/cam HTTP/1.1\r\nHost",
        b"POST /whep/cam HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
    ];
    let _crowd: Vec<TcpStream> = (0..CROWD)
        .map(|index| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(parts[index % parts.len()]).unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    assert!(get(port, "/healthz").ends_with("ok\n"));
    let request = format!(
        "POST /whep/cam HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{OFFER}",
        OFFER.len()
    );
    assert!(raw(port, request.as_bytes()).starts_with("HTTP/1.1 201"));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(subsystem.counters().http_displaced.value() > 0);
}

#[test]
fn garbage_is_answered_or_dropped_and_the_next_client_served() {
    let mut settings = settings();
    settings.http_timeout = Duration::from_millis(500);
    let subsystem = subsystem(settings);
    let port = listen(&subsystem);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        long.as_bytes(),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(get(port, "/healthz").ends_with("ok\n"));
}

#[test]
fn the_port_is_free_when_unlisten_returns() {
    let subsystem = subsystem(settings());
    let port = listen(&subsystem);
    let mut idle = TcpStream::connect(("127.0.0.1", port)).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    let started = Instant::now();
    subsystem.http_unlisten().expect("a listener to end");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    TcpListener::bind(("127.0.0.1", port)).expect("a free port");
}

#[test]
fn a_busy_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let subsystem = subsystem(settings());
    let addr = taken.local_addr().unwrap().to_string();
    let error = subsystem.http_listen(&addr).expect_err("a busy port");
    assert_eq!(error.code(), -7);
    assert!(error.to_string().contains(&addr), "{error}");
}
