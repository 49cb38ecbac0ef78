//! PATCH of a WHEP session: trickle and restart, entity tags, and every refusal (whip-whep.md §1.5–1.7).
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::net::UdpSocket;
use std::sync::Arc;

use bytes::Bytes;
use corertc::subsystem::Subsystem;
use http::{Request, Response};
use whep_rig::checks::{check, ice};
use whep_rig::*;

const SDPFRAG: &str = "application/trickle-ice-sdpfrag";
/// The ufrag and password of the rig's offer.
fn offered(name: &str) -> &'static str {
    let mut lines = OFFER.lines();
    lines.find_map(|line| line.strip_prefix(name)).unwrap()
}

/// Chromium's, under the credentials of its offer.
fn trickle() -> String {
    format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0\r\n",
        offered("a=ice-ufrag:"),
        offered("a=ice-pwd:")
    )
}

/// New credentials.
fn restart(name: &str) -> String {
    format!(
        "a=ice-ufrag:{name}\r\na=ice-pwd:{name}0123456789abcdefghijkl\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    )
}

fn patch(
    subsystem: &Subsystem,
    session: &str,
    if_match: Option<&str>,
    body: &str,
) -> Response<Bytes> {
    let mut request = Request::patch(session).header("Content-Type", SDPFRAG);
    if let Some(tag) = if_match {
        request = request.header("If-Match", tag);
    }
    send(
        subsystem,
        request.body(Bytes::from(body.to_owned())).unwrap(),
    )
}

struct Session {
    subsystem: Arc<Subsystem>,
    url: String,
    etag: String,
    answer: Bytes,
    _feed: Feed,
}

fn session(strict: bool) -> Session {
    let mut settings = settings();
    settings.etag_strict = strict;
    let subsystem = subsystem(settings);
    let feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam");
    assert_eq!(header(&created, "accept-patch"), SDPFRAG);
    Session {
        url: header(&created, "location").to_owned(),
        etag: header(&created, "etag").to_owned(),
        answer: created.into_body(),
        subsystem,
        _feed: feed,
    }
}

impl Session {
    fn patch(&self, if_match: Option<&str>, body: &str) -> Response<Bytes> {
        patch(&self.subsystem, &self.url, if_match, body)
    }
}

/// P051, P053, P054, P062, P067: 204 without ETag and body; the wildcard in both forms, lists, twice the same.
#[test]
fn a_trickle_patch_is_204() {
    for strict in [false, true] {
        let session = session(strict);
        let list = format!("\"other\", {}", session.etag);
        for tag in [session.etag.as_str(), "*", "\"*\"", &list, &session.etag] {
            let response = session.patch(Some(tag), &trickle());
            assert_eq!(response.status(), 204, "{tag}: {response:?}");
            assert!(response.body().is_empty() && header(&response, "etag").is_empty());
        }
        let end = session.patch(Some(&session.etag), "a=end-of-candidates\r\n");
        assert_eq!(end.status(), 204);
    }
}

/// P063, P065: what clients really send (C072: component 0, PT 0, odd mids; names; TCP).
#[test]
fn odd_candidates_are_left_aside_with_204() {
    let session = session(false);
    for line in [
        "a=candidate:1 1 udp 1 b7e2.local 5000 typ host",
        "a=candidate:1 1 udp 1 viewer.example 5000 typ host",
        "a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "a=candidate:1 0 udp 1 2001:db8::1 5000 typ host ufrag abcd network-id 1",
        "a=candidate:",
    ] {
        for body in [
            format!("m=audio 9 RTP/AVP 0\na=mid:none\n{line}\n"),
            format!("{line}\r\n"),
        ] {
            assert_eq!(session.patch(None, &body).status(), 204, "{body}");
        }
    }
}

/// P052: lenient by default, strict by option. P069: another ufrag is not the current one.
#[test]
fn a_missing_if_match_is_taken_leniently_or_428() {
    let lenient = session(false);
    assert_eq!(lenient.patch(None, &trickle()).status(), 204);
    let other = "a=ice-ufrag:zzzz\r\na=end-of-candidates\r\n";
    assert_problem(&lenient.patch(None, other), 428, "If-Match");
    assert_eq!(lenient.patch(Some("*"), other).status(), 204);
    assert_eq!(lenient.patch(None, &restart("fresh")).status(), 200);
    let strict = session(true);
    assert_problem(&strict.patch(None, &trickle()), 428, "If-Match");
    assert_problem(&strict.patch(None, &restart("fresh")), 428, "If-Match");
    assert_eq!(strict.subsystem.counters().ice_restarts.value(), 0);
}

/// P051, P053: stale, weak, unquoted and foreign tags.
#[test]
fn a_tag_that_is_not_the_current_one_is_412() {
    let session = session(false);
    let other = play(&session.subsystem, "/whep/cam");
    let weak = format!("W/{}", session.etag);
    let bare = session.etag.trim_matches('"').to_owned();
    for tag in [header(&other, "etag"), "\"\"", "\"x\"", &weak, &bare] {
        assert_problem(&session.patch(Some(tag), &trickle()), 412, "If-Match");
        assert_problem(&session.patch(Some(tag), &restart("x123")), 412, "If-Match");
    }
    // P073: nothing changed.
    assert_eq!(session.patch(Some(&session.etag), &trickle()).status(), 204);
}

/// P055: the order of refusals. P060, P061, P068, P101.
#[test]
fn what_is_no_trickle_patch_is_refused_in_order() {
    let session = session(true);
    let with = |kind: &str, body: &str| {
        let request = Request::patch(&session.url).header("Content-Type", kind);
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        send(&session.subsystem, request)
    };
    for kind in ["application/sdp", "application/json", ""] {
        let wrong = with(kind, "nonsense");
        assert_problem(&wrong, 415, "Content-Type");
        assert_eq!(header(&wrong, "accept-patch"), SDPFRAG);
    }
    // 400 before 428.
    for body in [
        "",
        "nonsense",
        "v=0\r\n",
        "a=ice-ufrag:x\r\n",
        "a=candidate:\0",
    ] {
        assert_problem(&with(SDPFRAG, body), 400, "fragment");
    }
    let secret = with(SDPFRAG, "s3cret nonsense");
    assert!(!String::from_utf8_lossy(secret.body()).contains("s3cret"));
    assert_problem(&with(SDPFRAG, &"a=x\r\n".repeat(20_000)), 413, "32768");
    assert_problem(&with(SDPFRAG, &trickle()), 428, "If-Match");
    // P002's rule holds here, too.
    let kind = "Application/Trickle-ICE-SDPfrag; charset=utf-8";
    assert_problem(&with(kind, &trickle()), 428, "If-Match");
    // 404 before all.
    let unknown = patch(&session.subsystem, "/whep/cam/never-was", None, "");
    assert_problem(&unknown, 404, "session");
    call(&session.subsystem, "DELETE", &session.url);
    assert_problem(&session.patch(Some("*"), &trickle()), 404, "ended");
}

/// P053, P054, P070–P075: new credentials and tag, the same candidates; checks pass under old and new ones.
#[test]
fn a_restart_is_200_with_new_credentials_and_the_old_ones_live_on() {
    let session = session(true);
    let first = ice(&session.answer);
    let response = session.patch(Some("*"), &restart("fresh"));
    assert_eq!(response.status(), 200, "{response:?}");
    assert_eq!(header(&response, "content-type"), SDPFRAG);
    assert_eq!(header(&response, "cache-control"), "no-store");
    let etag = header(&response, "etag").to_owned();
    assert!(etag.len() > 2 && etag != session.etag, "{etag}");
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    // P016: whip-whep-js reads up to CRLF (C070).
    assert!(text.contains(&format!("a=ice-ufrag:{}\r\n", ice(text.as_bytes()).ufrag)));
    let answer = String::from_utf8(session.answer.to_vec()).unwrap();
    for line in [
        "a=ice-lite\r\n",
        "a=ice-options:ice2\r\n",
        "a=end-of-candidates\r\n",
    ] {
        assert!(text.contains(line) && answer.contains(line), "{line}");
    }
    let second = ice(text.as_bytes());
    assert_eq!(second.candidates, first.candidates);
    assert!(second.ufrag != first.ufrag && second.pwd != first.pwd);
    assert!(second.ufrag.len() >= 4 && second.pwd.len() >= 22);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = first.candidates[0];
    for credentials in [&first, &second, &first] {
        assert_eq!(check(&socket, to, credentials, true), Some(to));
    }
    // The old password under the new ufrag is nobody's.
    let mixed = whep_rig::checks::Ice {
        pwd: first.pwd.clone(),
        ..second.clone()
    };
    let rejected = session.subsystem.counters().stun_rejected.value();
    assert_eq!(check(&socket, to, &mixed, true), None);
    assert_eq!(
        session.subsystem.counters().stun_rejected.value(),
        rejected + 1
    );
    // The tag has changed hands; the same restart again is idempotent (P067).
    assert_problem(
        &session.patch(Some(&session.etag), &restart("fresh")),
        412,
        "If-Match",
    );
    assert_eq!(session.patch(Some(&etag), &restart("fresh")).status(), 204);
    assert_eq!(session.patch(Some("*"), &trickle()).status(), 204);
    assert_eq!(session.subsystem.counters().ice_restarts.value(), 1);
}

/// §5 of RFC 9725: a flood of PATCHes is a 429, its neighbour is served, its session lives.
#[test]
fn a_flood_of_patches_is_429_and_ends_nothing() {
    let session = session(false);
    let neighbour = play(&session.subsystem, "/whep/cam");
    let mut refused = 0;
    for number in 0..300 {
        let response = session.patch(Some("*"), &restart(&format!("n{number:04}")));
        if response.status() == 429 {
            refused += 1;
            assert_problem(&response, 429, "PATCH");
            assert_eq!(header(&response, "retry-after"), "1");
        } else {
            assert_eq!(response.status(), 200);
        }
    }
    let counters = session.subsystem.counters();
    assert!((150..=200).contains(&refused), "{refused}");
    assert_eq!(counters.http_rate_limited.value(), refused);
    assert_eq!(counters.ice_restarts.value(), 300 - refused);
    let url = header(&neighbour, "location");
    let tag = header(&neighbour, "etag");
    let answered = patch(&session.subsystem, url, Some(tag), &trickle());
    assert_eq!(answered.status(), 204);
    assert_eq!(
        call(&session.subsystem, "DELETE", &session.url).status(),
        200
    );
    assert_eq!(call(&session.subsystem, "DELETE", url).status(), 200);
}
