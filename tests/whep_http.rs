//! WHEP request by request, through `http_handle`: statuses and headers of whip-whep.md §1.11.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::config::{IceServer, Settings};
use corertc::signal::auth::{Action, AuthQuery};
use corertc::subsystem::Subsystem;
use http::Request;
use whep_rig::*;

/// P001, P003, P009, P010, P016, P031, P050, P106.
#[test]
fn a_post_makes_a_session_with_all_its_headers() {
    let mut settings = settings();
    settings.path_prefix = "/rtc".to_owned();
    let server = |uri: &str, username: &str, credential: &str| IceServer {
        uri: uri.to_owned(),
        username: username.to_owned(),
        credential: credential.to_owned(),
    };
    settings.ice_servers = vec![
        server("stun:stun.example:3478", "", ""),
        server("turn:turn.example:3478?transport=udp", "user", "pass"),
    ];
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "a/b:c", true, true);
    let response = play_once_live(&subsystem, "/rtc/whep/a%2Fb%3Ac");
    assert_eq!(header(&response, "content-type"), "application/sdp");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert!(header(&response, "location").starts_with("/rtc/whep/a%2Fb%3Ac/"));
    assert!(!header(&response, "location").contains('?'));
    assert!(header(&response, "location").len() >= "/rtc/whep/a%2Fb%3Ac/".len() + 22);
    let etag = header(&response, "etag");
    assert!(
        etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2,
        "{etag}"
    );
    let links: Vec<_> = response
        .headers()
        .get_all("link")
        .iter()
        .map(|link| link.to_str().unwrap())
        .collect();
    assert_eq!(
        links,
        [
            "<stun:stun.example:3478>; rel=\"ice-server\"",
            "<turn:turn.example:3478?transport=udp>; rel=\"ice-server\"; username=\"user\"; credential=\"pass\"; credential-type=\"password\"",
        ]
    );
    assert!(header(&response, "access-control-expose-headers").contains("Location"));
    let answer = std::str::from_utf8(response.body()).unwrap();
    assert!(answer.starts_with("v=0\r\n") && answer.ends_with("\r\n") && answer.len() < 8192);
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
}

/// A subsystem that tells when a POST got as far as the host's callback, which is just before it waits for the stream.
fn asking(settings: Settings) -> (Arc<Subsystem>, Receiver<()>) {
    let (tell, asked) = channel();
    let tell = Mutex::new(tell);
    let hook = move |_: &AuthQuery| {
        let _ = tell.lock().unwrap().send(());
        None
    };
    (with_auth(settings, Arc::new(hook)), asked)
}

/// Video is known before audio: the POST waits for the second track and its answer carries both.
#[test]
fn the_answer_carries_both_tracks_even_if_one_comes_later() {
    let (subsystem, asked) = asking(settings());
    let _video = fed(&subsystem, "late", true, false);
    let other = Arc::clone(&subsystem);
    let poster = std::thread::spawn(move || play_once_live(&other, "/whep/late"));
    asked.recv().unwrap();
    let _both = fed(&subsystem, "late", false, true);
    assert_eq!(tracks(&poster.join().unwrap()), 2);
}

/// A second track that never comes is waited for while the stream is new, and not by everyone who joins later.
#[test]
fn a_track_that_is_missing_is_waited_for_a_second_and_once() {
    let subsystem = subsystem(settings());
    let _video = fed(&subsystem, "mute", true, false);
    let began = Instant::now();
    assert_eq!(tracks(&play_once_live(&subsystem, "/whep/mute")), 1);
    assert!(began.elapsed() > Duration::from_millis(900));
    let again = Instant::now();
    assert_eq!(tracks(&play(&subsystem, "/whep/mute")), 1);
    assert!(again.elapsed() < Duration::from_millis(900));
}

fn tracks(response: &http::Response<Bytes>) -> usize {
    let answer = std::str::from_utf8(response.body()).unwrap();
    answer.matches("a=sendonly").count()
}

/// P104: 409 with Retry-After, P043/§1.11: 404 for what is not there.
#[test]
fn an_unknown_stream_is_404_and_one_without_packets_409() {
    let subsystem = subsystem(settings());
    assert_problem(&play(&subsystem, "/whep/nobody"), 404, "no stream");
    let _silent = fed(&subsystem, "silent", false, false);
    let response = play(&subsystem, "/whep/silent");
    assert_problem(&response, 409, "no media");
    assert!(header(&response, "retry-after").parse::<u32>().unwrap() > 0);
    assert_problem(
        &play(&subsystem, "/whep/silent?source=ingest"),
        404,
        "ingest",
    );
    assert_problem(&call(&subsystem, "POST", "/whip/silent"), 404, "ingest");
    assert_problem(&call(&subsystem, "GET", "/elsewhere"), 404, "path");
}

/// P104: WAIT_FOR_STREAM_MS holds the POST until packets come.
#[test]
fn a_held_post_is_answered_once_packets_come() {
    let mut settings = settings();
    settings.wait_for_stream = Duration::from_secs(5);
    let (subsystem, asked) = asking(settings);
    let _silent = fed(&subsystem, "soon", false, false);
    let other = Arc::clone(&subsystem);
    let poster = std::thread::spawn(move || play(&other, "/whep/soon"));
    asked.recv().unwrap();
    let _feed = fed(&subsystem, "soon", true, true);
    assert_eq!(poster.join().unwrap().status(), 201);
}

/// P002, P004, P015.
#[test]
fn bad_bodies_are_told_apart() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "cam", true, true);
    play_once_live(&subsystem, "/whep/cam");
    let with_type = |kind: &str| {
        let request = Request::post("/whep/cam").header("Content-Type", kind);
        send(&subsystem, request.body(Bytes::from(OFFER)).unwrap())
    };
    assert_eq!(with_type("Application/SDP; charset=utf-8").status(), 201);
    let wrong = with_type("application/json");
    assert_problem(&wrong, 415, "Content-Type");
    assert_eq!(header(&wrong, "accept-post"), "application/sdp");
    let with_body = |body: &[u8]| {
        send(
            &subsystem,
            post("/whep/cam")
                .body(Bytes::copy_from_slice(body))
                .unwrap(),
        )
    };
    assert_problem(&with_body(b""), 400, "empty");
    assert_problem(&with_body(b"\xff\xfe"), 400, "UTF-8");
    let secret = with_body(b"v=0\r\no=s3cret\r\n");
    assert_problem(&secret, 400, "line 2");
    assert!(!String::from_utf8_lossy(secret.body()).contains("s3cret"));
    assert_problem(&with_body(&vec![b'a'; 131_073]), 413, "131072");
    let only_h264 = OFFER.replace(" VP8/90000", " XX8/90000");
    assert_problem(&with_body(only_h264.as_bytes()), 422, "VP8");
    // P082.
    assert_problem(
        &with_body(OFFER.replace("a=recvonly", "a=sendonly").as_bytes()),
        422,
        "recvonly",
    );
    let counters = subsystem.counters();
    assert!(counters.http_2xx.value() >= 2 && counters.http_4xx.value() >= 7);
}

/// P005, P006, P007, P008.
#[test]
fn other_methods_of_the_endpoint() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "cam", false, false);
    for method in ["GET", "HEAD"] {
        let response = call(&subsystem, method, "/whep/cam");
        assert_eq!(response.status(), 200, "{method}");
        assert_eq!(header(&response, "content-type"), "application/sdp");
        assert!(response.body().is_empty());
    }
    // RFC 9110 §9.3.2: an error has no body either, which a host would send on.
    let missing = call(&subsystem, "HEAD", "/whep/nope");
    assert!(missing.status() == 404 && missing.body().is_empty());
    let options = call(&subsystem, "OPTIONS", "/whep/cam");
    assert!(options.status().is_success());
    assert_eq!(header(&options, "accept-post"), "application/sdp");
    for method in ["PUT", "DELETE", "PATCH", "BREW"] {
        let response = call(&subsystem, method, "/whep/cam");
        assert_problem(&response, 405, "POST");
        assert_eq!(header(&response, "allow"), "GET, HEAD, OPTIONS, POST");
    }
}

/// P005, P007, P008, P009, P040, P041, P043.
#[test]
fn a_session_is_described_and_deleted_with_200() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam");
    let session = header(&created, "location");
    let put = call(&subsystem, "PUT", session);
    assert_problem(&put, 405, "DELETE");
    assert_eq!(header(&put, "allow"), "GET, HEAD, OPTIONS, PATCH, DELETE");
    let options = call(&subsystem, "OPTIONS", session);
    assert_eq!(
        header(&options, "accept-patch"),
        "application/trickle-ice-sdpfrag"
    );
    assert_eq!(header(&options, "accept-post"), "application/sdp");
    for method in ["GET", "HEAD", "OPTIONS"] {
        let response = call(&subsystem, method, session);
        assert!(
            response.status().is_success() && response.body().is_empty(),
            "{method}"
        );
    }
    let delete = Request::delete(session).header("If-Match", "\"stale\"");
    assert_eq!(
        send(&subsystem, delete.body(Bytes::new()).unwrap()).status(),
        200
    );
    // P043: OBS and GStreamer close DTLS first; a repeated DELETE is no error for a while.
    assert_eq!(call(&subsystem, "DELETE", session).status(), 200);
    assert_problem(&call(&subsystem, "GET", session), 404, "ended");
    assert_problem(
        &call(&subsystem, "DELETE", "/whep/cam/never-was"),
        404,
        "session",
    );
    assert_problem(
        &call(&subsystem, "PATCH", "/whep/cam/never-was"),
        404,
        "session",
    );
}

/// P013: limits are 503 with Retry-After, and a DELETE makes room.
#[test]
fn limits_are_503() {
    let mut settings = settings();
    settings.max_sessions = 1;
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    let first = play_once_live(&subsystem, "/whep/cam");
    let second = play(&subsystem, "/whep/cam");
    assert_problem(&second, 503, "MAX_SESSIONS");
    assert!(header(&second, "retry-after").parse::<u32>().unwrap() > 0);
    assert!(subsystem.counters().http_5xx.value() >= 1);
    assert_eq!(
        call(&subsystem, "DELETE", header(&first, "location")).status(),
        200
    );
    play_once_live(&subsystem, "/whep/cam");
}

/// P020, P021, P022, P023, P025, P033, C081.
#[test]
fn a_token_is_demanded_where_one_is_configured() {
    let mut settings = settings();
    settings.play_token = Some("s3cret".to_owned());
    settings.ice_servers = vec![IceServer {
        uri: "turn:t.example".to_owned(),
        username: "u".to_owned(),
        credential: "c".to_owned(),
    }];
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    let missing = play(&subsystem, "/whep/cam");
    assert_problem(&missing, 401, "Authorization");
    assert_eq!(
        header(&missing, "www-authenticate"),
        "Bearer realm=\"corertc\""
    );
    assert_problem(&play(&subsystem, "/whep/nobody"), 401, "Authorization");
    let with = |token: &str| {
        let request = post("/whep/cam").header("Authorization", token);
        send(&subsystem, request.body(Bytes::from(OFFER)).unwrap())
    };
    let wrong = with("Bearer guess");
    assert_problem(&wrong, 401, "token");
    assert!(header(&wrong, "www-authenticate").contains("invalid_token"));
    assert!(!String::from_utf8_lossy(wrong.body()).contains("guess"));
    let created = play_once_live(&subsystem, "/whep/cam?token=s3cret");
    assert_eq!(with("bearer s3cret").status(), 201);
    // P023: the secret URL is enough.
    assert_eq!(
        call(&subsystem, "DELETE", header(&created, "location")).status(),
        200
    );
    // P022, P033: a preflight needs no token and gives no TURN credential away; a plain OPTIONS gives it to the entitled.
    let preflight = Request::options("/whep/cam")
        .header("Origin", "https://a.example")
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type",
        );
    let preflight = send(&subsystem, preflight.body(Bytes::new()).unwrap());
    assert!(preflight.status().is_success());
    assert_eq!(header(&preflight, "link"), "");
    assert!(header(&preflight, "access-control-allow-headers").contains("Authorization"));
    assert_eq!(
        header(&call(&subsystem, "OPTIONS", "/whep/cam"), "link"),
        ""
    );
    assert!(
        header(
            &call(&subsystem, "OPTIONS", "/whep/cam?token=s3cret"),
            "link"
        )
        .contains("t.example")
    );
}

/// The host's callback: what it is asked, what its answers mean, and that it has its time only.
#[test]
fn the_hosts_callback_decides() {
    let mut settings = settings();
    settings.auth_timeout = Duration::from_millis(200);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let subsystem = with_auth(
        settings,
        Arc::new(move |query| {
            count.fetch_add(1, Ordering::Relaxed);
            assert_eq!(query.action, Action::Play);
            assert_eq!(query.stream_id, "cam");
            assert_eq!(query.remote_addr, "192.0.2.9:1234");
            match query.token.as_str() {
                "none" => None,
                "slow" => {
                    std::thread::sleep(Duration::from_millis(600));
                    Some(0)
                }
                "panic" => panic!("a host's bug"),
                code => code.parse().ok(),
            }
        }),
    );
    let _feed = fed(&subsystem, "cam", true, true);
    play_once_live(&subsystem, "/whep/cam?token=none");
    let status = |token: &str| {
        play(&subsystem, &format!("/whep/cam?token={token}"))
            .status()
            .as_u16()
    };
    let statuses: Vec<u16> = ["0", "200", "401", "403", "404", "429", "302", "7"]
        .iter()
        .map(|code| status(code))
        .collect();
    assert_eq!(statuses, [201, 201, 401, 403, 404, 429, 403, 403]);
    let started = Instant::now();
    assert_eq!(status("slow"), 503);
    assert!(
        started.elapsed() < Duration::from_millis(550),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(status("panic"), 503);
    let before = asked.load(Ordering::Relaxed);
    call(&subsystem, "OPTIONS", "/whep/cam");
    call(&subsystem, "GET", "/whep/cam");
    assert_eq!(asked.load(Ordering::Relaxed), before);
}

/// P030: origins that are listed are echoed, others are not.
#[test]
fn only_listed_origins_may_read() {
    let mut settings = settings();
    settings.cors_origins = vec!["https://a.example".to_owned()];
    let subsystem = subsystem(settings);
    let from = |origin: &str| {
        let request = Request::get("/whep/nobody").header("Origin", origin);
        send(&subsystem, request.body(Bytes::new()).unwrap())
    };
    assert_eq!(
        header(&from("https://a.example"), "access-control-allow-origin"),
        "https://a.example"
    );
    assert_eq!(
        header(&from("https://b.example"), "access-control-allow-origin"),
        ""
    );
    assert_eq!(header(&from("https://b.example"), "vary"), "Origin");
}
