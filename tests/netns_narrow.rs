//! Chromium behind a router whose way to it carries 600 kbit/s, with a stream of 800: frames keep coming, and the sound.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use corertc::config::ProcessSettings;
use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::picture_and_tone;
use common::netns::{Network, Towards};
use common::one_at_a_time;
use common::site::Site;
use common::windows::{look, waited};

const LINK_BPS: u64 = 600_000;
/// What has not yet left the router waits so long at most.
const QUEUE_MS: u32 = 300;
const SETTLED: Duration = Duration::from_secs(6);
const WINDOWS: usize = 7;

#[test]
fn frames_and_sound_keep_coming_through_a_token_bucket_narrower_than_the_stream() {
    let _turn = one_at_a_time();
    let Some(network) = Network::new() else {
        return;
    };
    let host = network.host(|_| {});
    let legs = host.process_start(
        "cam",
        &ProcessSettings {
            keyframe_interval: Duration::from_secs(2),
            video_bitrate_bps: 736_000,
            audio_bitrate_bps: 64_000,
            ..picture_and_tone(Codec::H264)
        },
    );
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    host.after_seconds_of_media(2);
    let site = Site::start_in(network.clients());
    let browser = Browser::start_in(network.clients());
    browser.goto(&site.origin());
    browser.watch("narrow", &host.url("/whep/cam"));
    browser.sees_motion("narrow");
    network.narrow(Towards::Clients, LINK_BPS, QUEUE_MS);
    waited(SETTLED);

    let [narrow] = look(&browser, ["narrow"], WINDOWS);
    let thinned = host.counter("frames_thinned");
    let queue = network.queue(Towards::Clients);
    let seen = format!("thinned {thinned}: {narrow:?}, {queue}");
    // One window may be that of a browser that had no time.
    let few = narrow.frames.iter().filter(|frames| **frames < 10).count();
    assert!(few <= 1, "{seen}");
    assert!(
        narrow.frames.iter().sum::<u64>() >= 30 * WINDOWS as u64,
        "{seen}"
    );
    assert!(thinned > 0, "{seen}");
    assert!(narrow.audio_lost_percent() <= 3.0, "{seen}");
}
