//! Real Chromium publishes over WHIP and the same Chromium watches the ingest over WHEP, straight through.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use corertc::events::EventKind;
use corertc::rtp::codec::Codec;
use serde_json::json;

use common::browser::Browser;
use common::host::Host;
use common::publish::ingest;
use common::site::Site;
use common::{PATIENCE, eventually, one_at_a_time};

fn direct() -> Host {
    Host::with(|settings| settings.whip_direct = true)
}

/// Kinds of the events so far, STREAM_… left out.
fn events(host: &Host) -> Vec<EventKind> {
    let all = std::iter::from_fn(|| host.subsystem.events().next(Duration::ZERO));
    all.map(|event| event.kind)
        .filter(|kind| !matches!(kind, EventKind::StreamActive | EventKind::StreamInactive))
        .collect()
}

fn straight_through(codec: Codec, mime_type: &str) {
    let _turn = one_at_a_time();
    let host = direct();
    let point = ingest(&host, "cam", Some(codec));
    let site = Site::start();
    let browser = Browser::on(&site);
    let answer = browser.publish("pub", &host.url("/whip/cam"), json!({ "codec": mime_type }));
    assert_eq!(answer["status"], 201, "{answer}");
    browser.until_sent("pub", "it connects", |sent| sent.state == "connected");
    browser.watch("one", &host.url("/whep/cam"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some(mime_type));
    browser.hears_tone("one");
    // Reports bring the round-trip time, transport-wide feedback the estimate above the start value of 300 kbit/s.
    let sent = browser.until_sent("pub", "it ramps up", |sent| {
        sent.rtt.is_some() && sent.available.is_some_and(|bps| bps > 1_000_000.0)
    });
    println!("{mime_type}: {sent:?} {seen:?}");
    let (_, inputs, viewers, publishers) = host.subsystem.now();
    assert_eq!((inputs, viewers, publishers), (1, 1, 1));
    let stats = host.stats();
    let session = stats["sessions"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["direction"] == "publish"))
        .unwrap()
        .clone();
    assert_eq!(
        (&session["state"], &session["stream"]),
        (&json!("connected"), &json!("cam"))
    );
    assert!(session["bytes"].as_u64() > Some(10_000), "{session}");

    assert_eq!(browser.unpublish("pub", false), 200);
    eventually("the publisher left", PATIENCE, || {
        match host.subsystem.now().3 {
            0 => Ok(()),
            left => Err(format!("{left} publishers")),
        }
    });
    assert_eq!(
        events(&host),
        [
            EventKind::PublisherJoined,
            EventKind::ViewerJoined,
            EventKind::PublisherLeft
        ]
    );
    eventually("the stream falls silent", PATIENCE, || {
        match point.stream().info().live {
            false => Ok(()),
            true => Err("live".to_owned()),
        }
    });
}

#[test]
fn h264_goes_straight_through() {
    straight_through(Codec::H264, "video/H264");
}

#[test]
fn vp8_goes_straight_through() {
    straight_through(Codec::Vp8, "video/VP8");
}
