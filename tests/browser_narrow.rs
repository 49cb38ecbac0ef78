//! A link narrower than the stream, between the server and real Chromium: fewer frames, but they keep coming.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use corertc::config::ProcessSettings;
use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::relay::Relay;
use common::site::Site;
use common::windows::{look, waited};
use common::{PATIENCE, eventually, one_at_a_time};

const LINK_BPS: u64 = 600_000;
/// What two or three reports, and the first answers to them, take.
const SETTLED: Duration = Duration::from_secs(6);
const WINDOWS: usize = 8;
/// Of a window's 75. A browser that shows its wide neighbour's picture less often had no time: that says nothing of links.
const SHOWN_AT_LEISURE: u64 = 60;

fn keeps_coming(codec: Codec) {
    let _turn = one_at_a_time();
    let host = Host::with(Relay::announce);
    let relay = Relay::before(&host);
    let legs = host.process_start(
        "cam",
        &ProcessSettings {
            keyframe_interval: Duration::from_secs(2),
            video_bitrate_bps: 736_000,
            audio_bitrate_bps: 64_000,
            ..picture_and_tone(codec)
        },
    );
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    host.after_seconds_of_media(2);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("narrow", &host.url("/whep/cam"));
    browser.sees_motion("narrow");
    relay.narrow(LINK_BPS);
    browser.watch("wide", &host.url("/whep/cam"));
    browser.sees_motion("wide");
    let bitrate_bps = || host.stats()["streams"][0]["bitrate_bps"].as_u64();
    eventually("the stream is wider", PATIENCE, || match bitrate_bps() {
        Some(bps) if bps > 700_000 => Ok(()),
        bps => Err(format!("{bps:?}")),
    });
    waited(SETTLED);

    let [narrow, wide] = look(&browser, ["narrow", "wide"], WINDOWS);
    let thinned = host.counter("frames_thinned");
    let seen = format!("thinned {thinned}: {narrow:?}, {wide:?}");
    let judged: Vec<u64> = narrow
        .frames
        .iter()
        .zip(&wide.frames)
        .filter(|(_, wide)| **wide >= SHOWN_AT_LEISURE)
        .map(|(narrow, _)| *narrow)
        .collect();
    assert!(judged.len() >= WINDOWS / 2, "{seen}");
    assert!(judged.iter().all(|frames| *frames >= 10), "{seen}");
    let mean = judged.iter().sum::<u64>() / judged.len() as u64;
    assert!(mean >= 30, "{seen}");
    assert!(thinned > 0, "{seen}");
    assert!(narrow.audio_lost_percent() <= 3.0, "{seen}");
    // The other never notices: nothing is left out for it.
    let stats = host.stats();
    let sessions = stats["sessions"].as_array().unwrap();
    let dropped = sessions
        .iter()
        .map(|one| one["frames_dropped"].as_u64().unwrap());
    let mut dropped: Vec<u64> = dropped.collect();
    dropped.sort_unstable();
    assert!(dropped[0] == 0 && dropped[1] > 0, "{dropped:?} {seen}");
}

#[test]
#[ignore = "36 s, the same through a token bucket stands in netns_narrow: make check-all"]
fn h264_keeps_coming_over_a_narrow_link() {
    keeps_coming(Codec::H264);
}

#[test]
#[ignore = "40 s, the same with another codec: make check-all"]
fn vp8_keeps_coming_over_a_narrow_link() {
    keeps_coming(Codec::Vp8);
}
