//! Every codec into Chromium, where its build decodes it; where it does not, the answer says so. And sources that are not as
//! browsers need them: named, and the viewer lives.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::process::Command;

use corertc::config::ProcessSettings;
use corertc::rtp::codec::Codec;
use serde_json::json;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE, make_file};
use common::host::{Host, copied, picture_and_tone};
use common::replay::Replay;
use common::site::Site;
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

/// FFmpeg packs AV1 into RTP from 8 on.
fn ffmpeg_sends_av1() -> bool {
    let output = Command::new("ffmpeg").arg("-version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split(' ').nth(2).unwrap_or_default();
    let major = version.trim_start_matches('n').split('.').next();
    major.and_then(|major| major.parse::<u32>().ok()) >= Some(8)
}

fn warnings_become(host: &Host, code: &str) {
    eventually(&format!("the warning {code}"), PATIENCE, || {
        let warnings = host.stats()["streams"][0]["warnings"].clone();
        match warnings.as_array().unwrap().contains(&json!(code)) {
            true => Ok(()),
            false => Err(format!("{warnings}")),
        }
    });
}

#[test]
fn vp9_is_seen_and_goes_on_after_a_restart() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::Vp9));
    let mut ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some("video/VP9"));
    assert_eq!(seen.width, 320);
    browser.hears_tone("one");
    // What the descriptor says: a key frame a second, not every frame.
    let seen = browser.report("one");
    assert!(
        seen.key_frames_decoded * 5 < seen.frames_decoded,
        "{} key frames of {}",
        seen.key_frames_decoded,
        seen.frames_decoded
    );
    ffmpeg.restart();
    browser.sees_motion("one");
    browser.hears_tone("one");
    let stream = &host.stats()["streams"][0];
    assert_eq!(stream["video"]["profile"], 0, "{stream}");
    assert_eq!(stream["warnings"], json!([]), "{stream}");
}

#[test]
fn av1_of_an_ffmpeg_that_can_is_seen() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let settings = ProcessSettings {
        audio: false,
        ..copied(Codec::Av1)
    };
    let legs = host.process_start("recorded", &settings);
    let _replay = Replay::av1(&legs[0]);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/recorded"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some("video/AV1"));
    assert_eq!(seen.width, 320);
}

#[test]
fn av1_is_sent_by_this_ffmpeg_or_refused_by_it() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::Av1));
    let mut ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    if !ffmpeg_sends_av1() {
        eventually("FFmpeg ends", PATIENCE, || match ffmpeg.is_running() {
            false => Ok(()),
            true => Err("it runs".to_owned()),
        });
        return;
    }
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    let seen = browser.sees_motion("one");
    assert_eq!(seen.video_codec.as_deref(), Some("video/AV1"));
    browser.hears_tone("one");
}

/// The source has no audio, though the host said so.
#[test]
fn an_isolated_leg_that_never_comes_is_named() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let settings = ProcessSettings {
        isolate: true,
        ..ProcessSettings::default()
    };
    let legs = host.process_start("cam", &settings);
    let silent = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"];
    let _ffmpeg = Ffmpeg::run(&silent, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/cam"));
    browser.sees_motion("one");
    warnings_become(&host, "leg_stopped");
    browser.sees_motion("one");
}

#[test]
fn h265_is_seen_or_the_answer_names_it() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::H265));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    let answer = browser.post("one", &host.url("/whep/cam"), &["video", "audio"]);
    if answer["status"] == 201 {
        let seen = browser.sees_motion("one");
        assert_eq!(seen.video_codec.as_deref(), Some("video/H265"));
        return;
    }
    // Debian's Chromium has no decoder, and offers none.
    assert_eq!(answer["status"], 422, "{answer}");
    assert!(
        answer["body"].as_str().unwrap().contains("H265"),
        "{answer}"
    );
    let stream = &host.stats()["streams"][0];
    assert_eq!(stream["video"]["codec"], "H265", "{stream}");
    assert_eq!(stream["video"]["profile"], 1, "{stream}");
}

#[test]
fn copied_b_frames_are_named_and_the_viewer_lives() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("b-frames");
    let file = scratch.file("clip.mp4");
    let mut args = PICTURE_AND_TONE.to_vec();
    args.retain(|arg| *arg != "-re");
    let encoder = "-map 0:v -map 1:a -t 40 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2 -g 30 -c:a aac";
    args.extend(encoder.split(' '));
    args.push(&file);
    make_file(&args);

    let host = Host::start();
    let legs = host.process_start("file", &copied(Codec::H264));
    let _ffmpeg = Ffmpeg::run(&["-re", "-i", &file], &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    browser.watch("one", &host.url("/whep/file"));
    browser.sees_motion("one");
    browser.hears_tone("one");
    warnings_become(&host, "b_frames");
    browser.sees_motion("one");
}
