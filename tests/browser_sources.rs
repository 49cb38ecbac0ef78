//! Sources as hosts have them: H.264 copied out of files, and one that has no audio.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use corertc::config::ProcessSettings;
use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE, make_file};
use common::host::{Host, copied};
use common::site::Site;
use common::{Scratch, one_at_a_time};

/// FLV and MP4 keep the parameter sets out of band: copied as it is, no browser could decode it.
fn a_copied_file_plays(name: &str) {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("source");
    let file = scratch.file(name);
    let mut args = PICTURE_AND_TONE.to_vec();
    args.retain(|arg| *arg != "-re");
    args.extend([
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-t",
        "30",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "30",
        "-c:a",
        "aac",
        &file,
    ]);
    make_file(&args);

    let host = Host::start();
    let legs = host.process_start("file", &copied(Codec::H264));
    let _ffmpeg = Ffmpeg::run(&["-re", "-i", &file], &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/file"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some("video/H264"));
    browser.hears_tone("one");
}

#[test]
fn h264_copied_from_an_flv_file_is_seen() {
    a_copied_file_plays("clip.flv");
}

#[test]
fn h264_copied_from_an_mp4_file_is_seen() {
    a_copied_file_plays("clip.mp4");
}

#[test]
fn a_source_without_audio_plays_in_the_isolated_form() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let settings = ProcessSettings {
        isolate: true,
        ..ProcessSettings::default()
    };
    let legs = host.process_start("silent", &settings);
    assert_eq!(legs.len(), 1);
    assert_eq!(legs[0].kind, 3);
    let mut ffmpeg = Ffmpeg::run(
        &["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"],
        &legs,
    );
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/silent"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.audio_packets, 0);
    assert!(ffmpeg.is_running());
}
