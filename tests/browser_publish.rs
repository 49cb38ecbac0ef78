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
    browser.until_sent("pub", "it ramps up", |sent| {
        sent.rtt.is_some() && sent.available.is_some_and(|bps| bps > 1_000_000.0)
    });
    let (_, _, viewers, publishers) = host.subsystem.now();
    assert_eq!((viewers, publishers), (1, 1));
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
#[ignore = "the same with another codec: make check-all"]
fn vp8_goes_straight_through() {
    straight_through(Codec::Vp8, "video/VP8");
}

/// C082: three layers only from about 960x540.
#[test]
fn of_a_simulcast_publisher_the_best_layer_is_played() {
    let _turn = one_at_a_time();
    let host = direct();
    ingest(&host, "cam", Some(Codec::Vp8));
    let site = Site::start();
    let browser = Browser::on(&site);
    let options =
        json!({ "codec": "video/VP8", "rids": ["l", "m", "h"], "width": 960, "height": 540 });
    let answer = browser.publish("pub", &host.url("/whip/cam"), options);
    assert_eq!(answer["status"], 201, "{answer}");
    let sdp = answer["body"].as_str().unwrap();
    assert!(sdp.contains("a=simulcast:recv l;m;h\r\n"), "{sdp}");
    browser.until_sent("pub", "it connects", |sent| sent.state == "connected");
    browser.watch("one", &host.url("/whep/cam"));
    browser.sees_motion("one");
    browser.until_sent("pub", "all layers are sent", |sent| {
        sent.layers.iter().filter(|layer| layer.1 > 10).count() == 3
    });
    browser.until("one", "the largest picture", |seen| seen.width == 960);
    browser.sees_motion("one");
    browser.hears_tone("one");
}

#[test]
fn one_publishes_at_a_time_and_whoever_was_killed_may_come_back() {
    let _turn = one_at_a_time();
    let host = direct();
    ingest(&host, "cam", Some(Codec::Vp8));
    let site = Site::start();
    let browser = Browser::on(&site);
    let url = host.url("/whip/cam");
    let small = json!({ "codec": "video/VP8", "width": 320, "height": 180 });
    assert_eq!(browser.publish("first", &url, small.clone())["status"], 201);
    browser.until_sent("first", "it connects", |sent| sent.state == "connected");
    browser.watch("viewer", &host.url("/whep/cam"));
    browser.sees_motion("viewer");
    let busy = browser.publish("second", &url, small.clone());
    assert_eq!(
        (&busy["status"], &busy["retryAfter"]),
        (&json!(409), &json!("3")),
        "{busy}"
    );
    browser.sees_motion("viewer");

    // Its DTLS close ends the session at once: nobody waits.
    for round in 0..3 {
        let (before, next) = (format!("again{round}"), format!("again{}", round + 1));
        let leaving = if round == 0 { "first" } else { before.as_str() };
        browser.unpublish(leaving, true);
        eventually("the ingest is free", PATIENCE, || {
            let answer = browser.publish(&next, &url, small.clone());
            match answer["status"].as_u64() {
                Some(201) => Ok(()),
                _ => Err(answer.to_string()),
            }
        });
        browser.until_sent(&next, "it connects", |sent| sent.state == "connected");
        // The viewer stays, and sees the next one's picture go on.
        browser.sees_motion("viewer");
        browser.hears_tone("viewer");
    }
    assert_eq!(host.viewers(), 1);
}

#[test]
fn with_takeover_the_newcomer_wins() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| {
        settings.whip_direct = true;
        settings.whip_takeover = true;
    });
    ingest(&host, "cam", Some(Codec::H264));
    let site = Site::start();
    let browser = Browser::on(&site);
    let url = host.url("/whip/cam");
    let small = json!({ "codec": "video/H264", "width": 320, "height": 180 });
    for name in ["first", "second"] {
        let answer = browser.publish(name, &url, small.clone());
        assert_eq!(answer["status"], 201, "{answer}");
        browser.until_sent(name, "it connects", |sent| sent.state == "connected");
    }
    browser.until_sent("first", "it is told", |sent| sent.state != "connected");
    browser.watch("viewer", &host.url("/whep/cam?source=ingest"));
    browser.sees_motion("viewer");
    assert_eq!(host.subsystem.now().3, 1);
    let reasons: Vec<_> = std::iter::from_fn(|| host.subsystem.events().next(Duration::ZERO))
        .filter(|event| event.kind == EventKind::PublisherLeft)
        .map(|event| event.detail["reason"].clone())
        .collect();
    assert_eq!(reasons, ["taken_over"]);
}

#[test]
fn sound_alone_and_picture_alone_are_published() {
    let _turn = one_at_a_time();
    let host = direct();
    ingest(&host, "cam", Some(Codec::Vp8));
    let site = Site::start();
    let browser = Browser::on(&site);
    for (kind, seen_by) in [("audio", "ear"), ("video", "eye")] {
        let options = json!({ "codec": "video/VP8", "kinds": [kind] });
        let answer = browser.publish(kind, &host.url("/whip/cam"), options);
        assert_eq!(answer["status"], 201, "{answer}");
        browser.until_sent(kind, "it connects", |sent| sent.state == "connected");
        browser.watch(seen_by, &host.url("/whep/cam"));
        match kind {
            "audio" => browser.hears_tone(seen_by),
            _ => browser.sees_motion(seen_by),
        };
        assert_eq!(browser.unpublish(kind, false), 200);
        eventually("the stream falls silent", PATIENCE, || {
            match host.subsystem.now().3 {
                0 => Ok(()),
                left => Err(format!("{left} publishers")),
            }
        });
    }
}

#[test]
fn the_publish_page_publishes_and_says_when_it_cannot() {
    let _turn = one_at_a_time();
    let host = direct();
    let point = ingest(&host, "cam", Some(Codec::Vp8));
    let browser = Browser::start();
    let state = |browser: &Browser| {
        let text = browser.run(
            "return document.getElementById('state').textContent",
            vec![],
        );
        text.as_str().unwrap_or_default().to_owned()
    };
    let says = |browser: &Browser, what: &str| {
        eventually(what, PATIENCE, || match state(browser) {
            text if text.contains(what) => Ok(()),
            text => Err(text),
        });
    };
    let press = "document.getElementById('start').click()";
    browser.goto(&host.url("/publish/nobody"));
    browser.run(press, vec![]);
    says(&browser, "no ingest of this name");
    browser.goto(&host.url("/publish/cam"));
    browser.run(press, vec![]);
    says(&browser, "live");
    eventually("frames come", PATIENCE, || match point.stream().info() {
        info if info.video.is_some() && info.audio.is_some() => Ok(()),
        info => Err(format!("{info:?}")),
    });
    eventually("numbers are shown", PATIENCE, || {
        let text = browser.run(
            "return document.getElementById('numbers').textContent",
            vec![],
        );
        match text.as_str() {
            Some(text) if text.contains("kbit/s") && text.contains("frames/s") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let first = browser.open_tab();
    browser.goto(&host.url("/publish/cam"));
    browser.run(press, vec![]);
    says(&browser, "busy");
    browser.close_tab(first);
    // C080: leaving the page ends the session by its DELETE.
    browser.goto(&host.url("/"));
    eventually("the publisher left", PATIENCE, || {
        match host.subsystem.now().3 {
            0 => Ok(()),
            left => Err(format!("{left} publishers")),
        }
    });
}

/// Text of an element of the page.
fn text(browser: &Browser, id: &str) -> String {
    let script = format!("return document.getElementById('{id}').textContent");
    let text = browser.run(&script, vec![]);
    text.as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_publish_page_says_what_is_not_allowed_and_sends_what_was_chosen() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.publish_token = Some("secret".to_owned()));
    ingest(&host, "cam", Some(Codec::Vp8));
    let browser = Browser::start();
    let says = |id: &str, what: &str| {
        eventually(what, PATIENCE, || match text(&browser, id) {
            text if text.contains(what) => Ok(()),
            text => Err(text),
        });
    };
    let press = "document.getElementById('start').click()";
    let page = host.url("/publish/cam");
    browser.goto(&page);
    browser.run(press, vec![]);
    says("state", "not authorised");
    browser.goto(&format!("{page}?token=secret"));
    for (error, words) in [
        ("NotAllowedError", "no permission"),
        ("NotReadableError", "in use by another program"),
        ("NotFoundError", "no such device"),
    ] {
        let refuse = "const md = navigator.mediaDevices; window.real ??= md.getUserMedia.bind(md); \
                      md.getUserMedia = () => Promise.reject(new DOMException('no', arguments[0]));";
        browser.run(refuse, vec![json!(error)]);
        browser.run(press, vec![]);
        says("state", words);
    }
    let choose = "navigator.mediaDevices.getUserMedia = window.real; \
                  const size = document.getElementById('size'); size.value = '640x360'; \
                  size.dispatchEvent(new Event('change'));";
    browser.run(choose, vec![]);
    let preview = "return document.getElementById('preview').videoWidth";
    eventually("a preview of that size", PATIENCE, || {
        match browser.run(preview, vec![]) {
            width if width == 640 => Ok(()),
            width => Err(width.to_string()),
        }
    });
    // The fake camera and microphone by their names.
    says("camera", "fake_device_0");
    says("microphone", "Fake");
    browser.run(press, vec![]);
    says("state", "live");
    says("numbers", "640 × 360");
    browser.run(press, vec![]);
    says("state", "not publishing");
}
