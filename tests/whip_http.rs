//! WHIP request by request, through `http_handle`: statuses and headers of whip-whep.md §1.11.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::config::IceServer;
use corertc::rtp::codec::Codec;
use corertc::signal::auth::{Action, AuthQuery};
use corertc::stream::{Expectation, IngestPoint, StreamKey, TrackExpectation};
use corertc::subsystem::Subsystem;
use http::Response;
use whep_rig::*;

const OBS: &str = include_str!("../src/sdp/testdata/obs.sdp");
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

const KEPT: corertc::stream::history::Limits = corertc::stream::history::Limits {
    bytes: 16 << 20,
    time: Duration::from_secs(12),
};

/// An ingest of H264 and Opus.
fn ingest(subsystem: &Subsystem, id: &str) -> Arc<IngestPoint> {
    let track = |codec, payload_type| TrackExpectation {
        codec,
        payload_type,
        copied: true,
    };
    let expectation = Expectation {
        video: Some(track(Codec::H264, 120)),
        audio: Some(track(Codec::Opus, 121)),
        start_time_us: 0,
    };
    let (counters, events) = (subsystem.counters().clone(), subsystem.events().clone());
    let point = IngestPoint::new(id, StreamKey(1 << 40), expectation, KEPT, counters, events);
    subsystem.ingests().unwrap().insert(point.clone());
    point
}

fn publish(subsystem: &Subsystem, path: &str) -> Response<Bytes> {
    send(subsystem, post(path).body(Bytes::from(OBS)).unwrap())
}

fn location(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), 201, "{response:?}");
    header(response, "location").to_owned()
}

fn patch(subsystem: &Subsystem, path: &str, kind: &str, tag: &str, body: &str) -> u16 {
    let mut request = http::Request::patch(path).header("Content-Type", kind);
    if !tag.is_empty() {
        request = request.header("If-Match", tag);
    }
    let response = send(
        subsystem,
        request.body(Bytes::from(body.to_owned())).unwrap(),
    );
    // P054: a restart tells the new tag, nothing else one.
    let restarted = response.status() == 200;
    assert_eq!(response.headers().contains_key("etag"), restarted);
    response.status().as_u16()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// P001, P003, P009, P010, P016, P031, P050, P093, P106; C002, C004: one Location, without the query (C060: Larix has one).
#[test]
fn a_post_makes_a_session_with_all_its_headers() {
    let mut settings = settings();
    settings.path_prefix = "/rtc".to_owned();
    settings.ice_servers = vec![IceServer {
        uri: "stun:stun.example:3478".to_owned(),
        username: String::new(),
        credential: String::new(),
    }];
    let subsystem = subsystem(settings);
    ingest(&subsystem, "a/b:c");
    let response = publish(&subsystem, "/rtc/whip/a%2Fb%3Ac?app=live&stream=cam");
    assert!(location(&response).starts_with("/rtc/whip/a%2Fb%3Ac/"));
    assert!(!location(&response).contains('?'));
    assert_eq!(response.headers().get_all("location").iter().count(), 1);
    assert_eq!(header(&response, "content-type"), "application/sdp");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "accept-patch"), FRAGMENT);
    assert_eq!(
        header(&response, "link"),
        "<stun:stun.example:3478>; rel=\"ice-server\""
    );
    assert!(header(&response, "etag").starts_with('"'));
    assert!(header(&response, "access-control-expose-headers").contains("Location"));
    let answer = std::str::from_utf8(response.body()).unwrap();
    assert!(answer.contains("a=simulcast:recv 0;1;2\r\n"), "{answer}");
    assert!(answer.contains("a=recvonly\r\n") && !answer.contains("a=sendonly"));
    assert_eq!(subsystem.now().3, 1);
    assert_eq!(subsystem.counters().sessions_total.value(), 1);
}

/// P005, P007, P008, P040, P041, P043.
#[test]
fn endpoint_and_session_know_their_methods() {
    let subsystem = subsystem(settings());
    ingest(&subsystem, "cam");
    for method in ["GET", "HEAD"] {
        assert_eq!(call(&subsystem, method, "/whip/cam").status(), 204);
    }
    assert_eq!(call(&subsystem, "GET", "/whip/nobody").status(), 404);
    let options = call(&subsystem, "OPTIONS", "/whip/cam");
    assert_eq!(header(&options, "accept-post"), "application/sdp");
    assert_problem(&call(&subsystem, "PUT", "/whip/cam"), 405, "POST");
    let session = location(&publish(&subsystem, "/whip/cam"));
    assert_eq!(call(&subsystem, "GET", &session).status(), 204);
    let options = call(&subsystem, "OPTIONS", &session);
    assert_eq!(header(&options, "accept-patch"), FRAGMENT);
    let refused = call(&subsystem, "POST", &session);
    assert_eq!(
        header(&refused, "allow"),
        "GET, HEAD, OPTIONS, PATCH, DELETE"
    );
    assert_eq!(call(&subsystem, "DELETE", &session).status(), 200);
    assert_eq!(call(&subsystem, "DELETE", &session).status(), 200, "C008");
    assert_problem(&call(&subsystem, "GET", &session), 404, "ended");
    assert_problem(&call(&subsystem, "DELETE", "/whip/cam/x"), 404, "session");
    assert_eq!(subsystem.now().3, 0);
}

/// P004, P081, P098.
#[test]
fn what_is_no_offer_for_the_ingest_is_refused_with_its_reason() {
    let subsystem = subsystem(settings());
    ingest(&subsystem, "cam");
    let offered = |body: &str| {
        let request = post("/whip/cam").body(Bytes::from(body.to_owned()));
        send(&subsystem, request.unwrap())
    };
    assert_problem(&publish(&subsystem, "/whip/nobody"), 404, "ingest");
    assert_problem(&offered("hello"), 400, "line 1");
    assert_problem(
        &offered(&OBS.replace("a=sendonly", "a=recvonly")),
        422,
        "send",
    );
    assert_problem(&offered(&OBS.replace("H264", "VP8")), 422, "H264");
    let plain = http::Request::post("/whip/cam").body(Bytes::from(OBS));
    let refused = send(&subsystem, plain.unwrap());
    assert_problem(&refused, 415, "application/sdp");
    assert_eq!(subsystem.now().3, 0, "nothing holds the ingest");
}

/// P048: one at a time, with Retry-After; a half-open one holds it for 3 s at most.
#[test]
fn a_second_publisher_waits_and_a_silent_one_gives_way() {
    let subsystem = subsystem(settings());
    ingest(&subsystem, "cam");
    let first = location(&publish(&subsystem, "/whip/cam"));
    let start = Instant::now();
    let busy = publish(&subsystem, "/whip/cam");
    assert_problem(&busy, 409, "publisher");
    assert_eq!(header(&busy, "retry-after"), "3");
    eventually("it gives way", || {
        publish(&subsystem, "/whip/cam").status() == 201
    });
    assert!(
        start.elapsed() >= Duration::from_millis(2900),
        "{:?}",
        start.elapsed()
    );
    assert_problem(&call(&subsystem, "GET", &first), 404, "ended");
    assert_eq!(subsystem.now().3, 1);
}

#[test]
fn with_takeover_the_second_publisher_ends_the_first() {
    let mut settings = settings();
    settings.whip_takeover = true;
    let subsystem = subsystem(settings);
    ingest(&subsystem, "cam");
    let first = location(&publish(&subsystem, "/whip/cam"));
    let second = location(&publish(&subsystem, "/whip/cam"));
    assert_eq!(call(&subsystem, "GET", &first).status(), 404);
    assert_eq!(call(&subsystem, "GET", &second).status(), 204);
}

/// P046.
#[test]
fn a_publisher_that_never_connects_is_forgotten() {
    let mut settings = settings();
    settings.setup_timeout = Duration::from_millis(100);
    let subsystem = subsystem(settings);
    let point = ingest(&subsystem, "cam");
    location(&publish(&subsystem, "/whip/cam"));
    eventually("it is forgotten", || subsystem.now().3 == 0);
    assert_eq!(subsystem.counters().sessions_failed.value(), 1);
    assert!(!point.request_keyframe(Instant::now()), "nobody is asked");
}

/// P020–P022, P026.
#[test]
fn the_publish_token_is_asked_for_and_the_host_is_asked() {
    let asked: Arc<Mutex<Vec<AuthQuery>>> = Arc::default();
    let seen = asked.clone();
    let mut settings = settings();
    settings.publish_token = Some("s3cret".to_owned());
    let hook = move |query: &AuthQuery| {
        seen.lock().unwrap().push(query.clone());
        (query.stream_id == "closed").then_some(403)
    };
    let subsystem = with_auth(settings, Arc::new(hook));
    ingest(&subsystem, "cam");
    ingest(&subsystem, "closed");
    let refused = publish(&subsystem, "/whip/cam");
    assert_problem(&refused, 401, "token");
    assert!(header(&refused, "www-authenticate").starts_with("Bearer"));
    assert!(asked.lock().unwrap().is_empty());
    let bearer = |path: &str| {
        let request = post(path).header("Authorization", "Bearer s3cret");
        send(&subsystem, request.body(Bytes::from(OBS)).unwrap())
    };
    assert_eq!(bearer("/whip/cam").status(), 201);
    assert_eq!(bearer("/whip/closed").status(), 403);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|query| query.action == Action::Publish));
    assert_eq!(asked[0].token, "s3cret");
}

/// P051–P054, P060–P069.
#[test]
fn candidates_are_taken_calmly_and_ice_restarts() {
    let subsystem = subsystem(settings());
    ingest(&subsystem, "cam");
    let response = publish(&subsystem, "/whip/cam");
    let (session, etag) = (location(&response), header(&response, "etag"));
    let body = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 x.local 5 typ host\r\n";
    let ours = format!("a=ice-ufrag:mKbe\r\na=ice-pwd:5Ub/7Ag0rvU1+JF+aMzKcW\r\n{body}");
    let restart = ours.replace("mKbe", "other");
    let patch = |kind: &str, tag: &str, body: &str| patch(&subsystem, &session, kind, tag, body);
    assert_eq!(patch(FRAGMENT, etag, &ours), 204);
    assert_eq!(patch("Application/Trickle-ICE-sdpfrag;x=y", "*", body), 204);
    assert_eq!(patch(FRAGMENT, "", "a=end-of-candidates\n"), 204);
    assert_eq!(patch(FRAGMENT, "\"stale\"", body), 412);
    assert_eq!(patch("application/sdp", etag, body), 415);
    assert_eq!(patch(FRAGMENT, etag, "hello"), 400);
    assert_eq!(patch(FRAGMENT, etag, &"a=x\n".repeat(10_000)), 413);
    assert_eq!(
        call(&subsystem, "GET", &session).status(),
        204,
        "it lives on"
    );
    assert_eq!(patch(FRAGMENT, "*", &restart), 200, "ICE restarts");
    assert_eq!(patch(FRAGMENT, etag, body), 412, "the tag has changed");
}

/// WHIP_DIRECT off: an ingest is nothing to play. On: it waits for media as any stream does.
#[test]
fn an_ingest_is_played_straight_through_only_by_option() {
    for direct in [false, true] {
        let mut settings = settings();
        settings.whip_direct = direct;
        let subsystem = subsystem(settings);
        ingest(&subsystem, "cam");
        let _feed = fed(&subsystem, "both", true, true);
        ingest(&subsystem, "both");
        for path in [
            "/whep/cam",
            "/whep/cam?source=ingest",
            "/whep/both?source=ingest",
        ] {
            let status = if direct { 409 } else { 404 };
            assert_problem(&play(&subsystem, path), status, "");
        }
        play_once_live(&subsystem, "/whep/both");
    }
}

/// OBS's offer with one of its media only.
fn offering(kind: &str) -> String {
    let mut sections = OBS.split("m=");
    let head = sections.next().unwrap().replace("a=group:BUNDLE 0 1", "");
    let section = sections.find(|it| it.starts_with(kind)).unwrap();
    format!("{head}m={section}")
}

/// SPS (42c014), PPS and the beginning of a key picture in one packet (RFC 6184 §5.7.1: STAP-A).
const KEY_PICTURE: &[u8] = &[
    0x18, 0, 0x16, 0x67, 0x42, 0xc0, 0x14, 0xda, 0x05, 0x07, 0xec, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0,
    0, 0x0c, 0xa3, 0xc5, 0x0a, 0xa8, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 4, 0x65, 0x88, 0x84, 0x21,
];

/// A viewer doesn't wait for what the publisher didn't offer, nor is it answered that the last one had it.
#[test]
fn what_a_publisher_does_not_bring_is_neither_waited_for_nor_answered() {
    let mut settings = settings();
    (settings.whip_direct, settings.whip_takeover) = (true, true);
    let subsystem = subsystem(settings);
    let point = ingest(&subsystem, "cam");
    for (seq, offer, tracks) in [
        (100, offering("video"), [true, false]),
        (200, OBS.to_owned(), [true, true]),
        (300, offering("audio"), [false, true]),
        (400, offering("video"), [true, false]),
    ] {
        let began = Instant::now();
        let request = post("/whip/cam").body(Bytes::from(offer)).unwrap();
        location(&send(&subsystem, request));
        for n in seq..seq + 3 {
            let [video, audio] = tracks;
            if video {
                let mut packet = packet(1, 120, n);
                packet.truncate(12);
                packet.extend(KEY_PICTURE);
                point.datagram(&packet, Instant::now());
            }
            if audio {
                point.datagram(&packet(2, 121, n), Instant::now());
            }
        }
        let response = play(&subsystem, "/whep/cam");
        let answer = std::str::from_utf8(response.body()).unwrap();
        let sent = |kind: &str| {
            let section = answer.split("m=").find(|it| it.starts_with(kind));
            section.is_some_and(|it| it.contains("a=sendonly"))
        };
        assert_eq!([sent("video"), sent("audio")], tracks, "{answer}");
        assert!(
            began.elapsed() < Duration::from_millis(900),
            "it waited for a track"
        );
    }
}

/// Limited by WHIP_CODECS: an ingest that takes another codec refuses every publisher, in words.
#[test]
fn a_codec_beside_whip_codecs_is_422_and_names_those_allowed() {
    let mut limited = settings();
    limited.whip_codecs = vec![Codec::Vp8, Codec::Opus];
    let refusing = subsystem(limited.clone());
    ingest(&refusing, "cam");
    assert_problem(&publish(&refusing, "/whip/cam"), 422, "VP8, opus");
    assert_eq!(refusing.now().3, 0);
    limited.whip_codecs.push(Codec::H264);
    let taking = subsystem(limited);
    ingest(&taking, "cam");
    location(&publish(&taking, "/whip/cam"));
}

/// Layers are told apart by name; one that nobody has is 404 with those that are there.
#[test]
fn a_layer_that_is_not_there_is_404_and_names_those_that_are() {
    let mut settings = settings();
    settings.whip_direct = true;
    let subsystem = subsystem(settings);
    let point = ingest(&subsystem, "cam");
    let _feed = fed(&subsystem, "both", true, true);
    ingest(&subsystem, "both");
    play_once_live(&subsystem, "/whep/both");
    assert_problem(&play(&subsystem, "/whep/both?rid=h"), 400, "source=ingest");
    assert_problem(&play(&subsystem, "/whep/cam?rid=h"), 409, "no media");
    location(&publish(&subsystem, "/whip/cam"));
    // Sound is enough to be live; OBS's layers are those of its offer.
    for seq in 0..20_u8 {
        let at = u16::from(seq) * 960;
        let mut opus = vec![0x80, 121, 0, seq, 0, 0];
        opus.extend(at.to_be_bytes());
        opus.extend([0, 0, 0, 7, 0xfc, 0xff, 0xfe, 1, 2, 3]);
        point.datagram(&opus, Instant::now());
    }
    for path in ["/whep/cam?rid=h", "/whep/cam?source=ingest&rid=h"] {
        assert_problem(&play(&subsystem, path), 404, "\"h\": there are 0, 1, 2");
    }
    let session = location(&play(&subsystem, "/whep/cam?rid=1"));
    let stats: serde_json::Value = serde_json::from_str(&subsystem.stats_json()).unwrap();
    let sessions = stats["sessions"].as_array().unwrap();
    let player = sessions
        .iter()
        .find(|it| it["stream"] == "cam" && it["direction"] == "play");
    assert_eq!(player.unwrap()["rid"], "1");
    assert_eq!(call(&subsystem, "DELETE", &session).status(), 200);
}
