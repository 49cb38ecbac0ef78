//! Options that lines of whip-whep.md call for: P010, P017, P024, P034, P086.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use bytes::Bytes;
use corertc::config::{IceServer, MissingMedia, Settings};
use http::{Request, Response};
use whep_rig::*;

/// P010: a whole URL where one is configured, and it leads back.
#[test]
fn a_public_url_makes_the_location_absolute() {
    let mut settings = settings();
    settings.public_url = Some("https://media.example/live".to_owned());
    settings.path_prefix = "/rtc".to_owned();
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/rtc/whep/cam");
    let location = header(&created, "location");
    let path = location.strip_prefix("https://media.example/live").unwrap();
    assert!(path.starts_with("/rtc/whep/cam/") && !path.contains('?'));
    assert_eq!(call(&subsystem, "DELETE", path).status(), 200);
}

/// P017: without a certificate only loopback is listened on.
#[test]
fn https_only_refuses_plain_http_to_the_world() {
    let mut settings = settings();
    settings.https_only = true;
    let subsystem = subsystem(settings);
    let refused = subsystem.http_listen("0.0.0.0:0").expect_err("plain HTTP");
    assert!(refused.to_string().contains("HTTPS_ONLY"), "{refused}");
    assert!(subsystem.http_listen("127.0.0.1:0").unwrap() > 0);
}

/// P024, C071: Eyevinn's player sends the key as it is.
#[test]
fn a_raw_token_counts_where_it_may() {
    for raw in [false, true] {
        let mut settings = settings();
        settings.play_token = Some("s3cret".to_owned());
        settings.raw_token = raw;
        let subsystem = subsystem(settings);
        let get = |token: &str| {
            let request = Request::get("/whep/nobody").header("Authorization", token);
            send(&subsystem, request.body(Bytes::new()).unwrap())
                .status()
                .as_u16()
        };
        assert_eq!(get("s3cret"), if raw { 404 } else { 401 });
        assert_eq!(get("Bearer s3cret"), 404);
        assert_eq!(get("s3cre"), 401);
        assert_eq!(get("Basic s3cret"), 401);
    }
}

/// P034.
#[test]
fn private_network_preflights_are_let_in_by_option() {
    for on in [false, true] {
        let mut settings = settings();
        settings.private_network = on;
        let subsystem = subsystem(settings);
        let preflight = |ask: bool| {
            let mut request = Request::options("/whep/cam")
                .header("Origin", "https://a.example")
                .header("Access-Control-Request-Method", "POST");
            if ask {
                request = request.header("Access-Control-Request-Private-Network", "true");
            }
            send(&subsystem, request.body(Bytes::new()).unwrap())
        };
        let name = "access-control-allow-private-network";
        assert_eq!(header(&preflight(true), name), if on { "true" } else { "" });
        assert_eq!(header(&preflight(false), name), "");
    }
}

fn play_video_only(missing: MissingMedia) -> Response<Bytes> {
    let mut settings = settings();
    settings.missing_media = missing;
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "mute", true, false);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let response = play(&subsystem, "/whep/mute");
        if response.status() != 409 || std::time::Instant::now() > deadline {
            return response;
        }
    }
}

/// P086, C079.
#[test]
fn missing_media_are_rejected_inactive_or_refused_by_option() {
    let sections = |response: &Response<Bytes>| -> Vec<String> {
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        text.split("m=").skip(1).map(str::to_owned).collect()
    };
    let rejected = play_video_only(MissingMedia::Rejected);
    let missing: Vec<String> = sections(&rejected)
        .into_iter()
        .filter(|section| section.starts_with("audio"))
        .collect();
    assert!(missing[0].starts_with("audio 0 "), "{missing:?}");

    // The default: aiortc reads no answer with a rejected section (C034).
    assert_eq!(Settings::default().missing_media, MissingMedia::Inactive);
    let inactive = play_video_only(MissingMedia::Inactive);
    assert_eq!(inactive.status(), 201);
    let all = sections(&inactive);
    let audio = all.iter().find(|it| it.starts_with("audio")).unwrap();
    assert!(audio.starts_with("audio 9 ") && audio.contains("a=inactive\r\n"));
    assert!(audio.contains("a=fingerprint:") && audio.contains("a=rtpmap:"));
    assert!(!audio.contains("a=ssrc") && !audio.contains("a=sendonly"));
    // RFC 9143 §7.3.1: the candidates stand in the offer's first section, which is not rejected.
    assert!(all[0].contains("a=candidate:") && !all[1].contains("a=candidate:"));
    let text = String::from_utf8(inactive.body().to_vec()).unwrap();
    let group = text
        .lines()
        .find(|line| line.starts_with("a=group"))
        .unwrap();
    assert_eq!(group.split(' ').count(), 3, "{group}");

    assert_problem(&play_video_only(MissingMedia::Refused), 422, "audio");
}

/// P106, P107, C006: credentials that expire, one line per server, no comma inside.
#[test]
fn a_turn_secret_gives_each_client_credentials_that_expire() {
    let mut with_secret: Settings = settings();
    with_secret.turn_secret = Some("shared".to_owned());
    with_secret.ice_servers = ["stun:s.example", "turn:t.example:3478?transport=udp"]
        .iter()
        .map(|uri| IceServer {
            uri: (*uri).to_owned(),
            username: String::new(),
            credential: String::new(),
        })
        .collect();
    let subsystem = subsystem(with_secret);
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam");
    let links: Vec<&str> = created
        .headers()
        .get_all("link")
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    assert_eq!(links[0], "<stun:s.example>; rel=\"ice-server\"");
    let turn = links[1];
    assert!(
        turn.starts_with("<turn:t.example:3478?transport=udp>; rel=\"ice-server\"; username=\"")
    );
    assert!(!turn.contains(','), "{turn}");
    let username = turn
        .split("username=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expiry: u64 = username.parse().unwrap();
    assert!((now + 86_300..=now + 86_500).contains(&expiry));
}
