//! What ends and comes back while browsers watch: FFmpeg, a tab, the process itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::site::Site;
use common::{PATIENCE, eventually, one_at_a_time};

fn viewers_become(host: &Host, wanted: u64) {
    eventually(&format!("{wanted} viewers"), PATIENCE, || {
        match host.viewers() {
            now if now == wanted => Ok(()),
            now => Err(format!("{now} viewers")),
        }
    });
}

fn ffmpeg_dies_and_comes_back(codec: Codec) {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(codec));
    let mut ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    browser.sees_motion("one");
    browser.hears_tone("one");

    ffmpeg.kill();
    assert_eq!(browser.report("one").state, "connected");
    ffmpeg.restart();
    // The very same peer connection goes on: nothing was POSTed again.
    browser.sees_motion("one");
    browser.hears_tone("one");

    // And when it starts again so fast that the old sender was not silent for 200 ms yet.
    ffmpeg.restart();
    browser.sees_motion("one");
    browser.hears_tone("one");
    assert_eq!(host.viewers(), 1);
    let stream = &host.stats()["streams"][0];
    assert_eq!(stream["restarts"], 2, "{stream}");
}

#[test]
fn h264_goes_on_after_ffmpeg_was_killed_and_restarted() {
    ffmpeg_dies_and_comes_back(Codec::H264);
}

#[test]
#[ignore = "the same with another codec: make check-all"]
fn vp8_goes_on_after_ffmpeg_was_killed_and_restarted() {
    ffmpeg_dies_and_comes_back(Codec::Vp8);
}

#[test]
fn a_closed_tab_frees_its_session_and_leaves_the_other_alone() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.idle_timeout = Duration::from_secs(5));
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("stays", &host.url("/whep/cam"));
    browser.sees_motion("stays");
    let first = browser.open_tab();
    browser.goto(&site.origin());
    browser.watch("goes", &host.url("/whep/cam"));
    browser.until("goes", "frames", |seen| seen.frames_decoded > 0);
    viewers_become(&host, 2);

    browser.close_tab(first);
    viewers_become(&host, 1);
    browser.sees_motion("stays");
}

#[test]
fn the_stop_hook_ends_all_three_viewers_and_no_other_stream() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let settings = picture_and_tone(Codec::Vp8);
    let legs = host.process_start("cam", &settings);
    let other_legs = host.process_start("other", &settings);
    let mut ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let _other = Ffmpeg::run(PICTURE_AND_TONE, &other_legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    let names = ["one", "two", "three"];
    for name in names {
        browser.watch(name, &host.url("/whep/cam"));
    }
    browser.watch("neighbour", &host.url("/whep/other"));
    for name in names {
        browser.until(name, "frames", |seen| seen.frames_decoded > 0);
    }
    assert_eq!(host.viewers(), 4);

    ffmpeg.kill();
    host.subsystem.process_stop("cam").unwrap();
    assert_eq!(host.torn_down(), ["cam"]);
    viewers_become(&host, 1);
    for name in names {
        browser.until(name, "the goodbye", |seen| seen.state != "connected");
    }
    assert_eq!(host.subsystem.stream_count(), 1);
    let gone = browser.post("late", &host.url("/whep/cam"), &["video", "audio"]);
    assert_eq!(gone["status"], 404, "{gone}");
    browser.sees_motion("neighbour");
}
