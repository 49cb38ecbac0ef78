//! Real FFmpeg through the legs into real Chromium: it is seen, heard, by several, from anywhere.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use corertc::rtp::codec::Codec;
use serde_json::{Value, json};

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::site::Site;
use common::{PATIENCE, eventually, one_at_a_time};

fn plays(codec: Codec, mime_type: &str) {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(codec));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some(mime_type));
    assert_eq!(seen.width, 320);
    browser.hears_tone("one");
    assert_eq!(host.viewers(), 1);

    assert_eq!(browser.leave("one"), 200);
    eventually("the viewer left", PATIENCE, || match host.viewers() {
        0 => Ok(()),
        left => Err(format!("{left} viewers")),
    });
}

#[test]
fn h264_is_seen_and_the_tone_is_heard() {
    plays(Codec::H264, "video/H264");
}

#[test]
fn vp8_is_seen_and_the_tone_is_heard() {
    plays(Codec::Vp8, "video/VP8");
}

#[test]
fn two_viewers_watch_at_once_and_one_leaves() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    browser.watch("two", &host.url("/whep/cam"));
    for name in ["one", "two"] {
        browser.sees_motion(name);
        browser.hears_tone(name);
    }
    assert_eq!(host.viewers(), 2);
    assert_eq!(browser.leave("one"), 200);
    browser.sees_motion("two");
}

#[test]
fn the_play_page_shows_the_picture_and_the_list_links_to_it() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let browser = Browser::start();
    browser.goto(&host.url("/"));
    let link = browser.run(
        "return [...document.links].map((link) => link.href).find((href) => href.endsWith('/play/cam')) ?? null",
        vec![],
    );
    assert_eq!(link, json!(host.url("/play/cam")));
    browser.goto(link.as_str().unwrap());
    let frames = |browser: &Browser| -> Result<u64, String> {
        let seen = browser.run(
            "const video = document.querySelector('video'); \
             return video && [video.videoWidth, video.getVideoPlaybackQuality().totalVideoFrames]",
            vec![],
        );
        match (seen[0].as_u64(), seen[1].as_u64()) {
            (Some(320), Some(frames)) => Ok(frames),
            _ => Err(format!("{seen}")),
        }
    };
    let before = eventually("the page has a picture", PATIENCE, || frames(&browser));
    eventually("it moves", PATIENCE, || match frames(&browser)? {
        now if now >= before + 30 => Ok(()),
        now => Err(format!("{now} frames, before {before}")),
    });
}

/// The page's site is another origin in every test here; this one names it, and refuses the others.
#[test]
fn a_page_of_a_listed_origin_watches_and_one_of_another_does_not() {
    let _turn = one_at_a_time();
    let listed = Site::start();
    let foreign = Site::start();
    let host = Host::with(|settings| settings.cors_origins = vec![listed.origin()]);
    let legs = host.process_start("cam", &picture_and_tone(Codec::Vp8));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let browser = Browser::on(&listed);
    browser.watch("one", &host.url("/whep/cam"));
    browser.sees_motion("one");

    browser.goto(&foreign.origin());
    let answer = browser.post("other", &host.url("/whep/cam"), &["video"]);
    assert!(
        answer["error"].is_string(),
        "the browser must not let this page read the answer: {answer}"
    );
}

#[test]
fn an_unknown_stream_is_a_404_that_a_page_can_read() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let site = Site::start();
    let browser = Browser::on(&site);
    let answer = browser.post("one", &host.url("/whep/nobody"), &["video", "audio"]);
    assert_eq!(answer["status"], 404, "{answer}");
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["status"], 404);
}
