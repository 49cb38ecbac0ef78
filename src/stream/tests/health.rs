//! Warnings of a stream that runs: told once, listed while they hold, gone when they are over.

use super::rig::{OPUS, Rig, SLICE, Sender, T0_US};
use crate::rtp::codec::Codec;

/// Video at 25 frames a second, a key frame every `gop_ms`, and audio where `audio` is given, for `ms` from `from_ms`.
fn run(
    rig: &mut Rig,
    video: Option<&mut Sender>,
    audio: Option<&mut Sender>,
    (from_ms, ms, gop_ms): (i64, i64, i64),
) {
    let (mut video, mut audio) = (video, audio);
    for at in (from_ms..from_ms + ms).step_by(40) {
        if let Some(video) = video.as_deref_mut() {
            if at % gop_ms == 0 {
                video.send_keyframe(rig, at);
            } else {
                video.send(rig, at, true, SLICE);
            }
        }
        if let Some(audio) = audio.as_deref_mut() {
            audio.send(rig, at, true, OPUS);
            audio.send(rig, at + 20, true, OPUS);
        }
        rig.pass_ms(40);
    }
}

#[test]
fn a_medium_silent_for_three_seconds_is_named_until_it_comes_back() {
    let (mut rig, mut video, mut audio) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::audio(2));
    run(
        &mut rig,
        Some(&mut video),
        Some(&mut audio),
        (0, 4000, 2000),
    );
    run(&mut rig, Some(&mut video), None, (4000, 2800, 2000));
    assert!(rig.stream.warnings().is_empty());
    run(&mut rig, Some(&mut video), None, (6800, 4000, 2000));
    assert_eq!(rig.stream.warnings(), ["leg_stopped"]);
    let told: Vec<_> = rig
        .events()
        .into_iter()
        .filter(|event| event.detail["code"] == "leg_stopped")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].detail["media"], "audio");
    assert_eq!(told[0].detail["ever_came"], true);

    run(
        &mut rig,
        Some(&mut video),
        Some(&mut audio),
        (10_800, 400, 2000),
    );
    assert!(rig.stream.warnings().is_empty());
    // Again soon after: it stands in the list, but hosts are not flooded.
    run(&mut rig, Some(&mut video), None, (11_200, 4000, 2000));
    assert_eq!(rig.stream.warnings(), ["leg_stopped"]);
    assert!(rig.warnings().is_empty());
    assert!(rig.stream.info().live);
}

#[test]
fn a_medium_that_never_came_is_named_too() {
    let (mut rig, mut audio) = (Rig::new(Codec::H264), Sender::audio(2));
    run(&mut rig, None, Some(&mut audio), (0, 4000, 2000));
    let events = rig.events();
    let told = events
        .iter()
        .find(|event| event.detail["code"] == "leg_stopped")
        .unwrap();
    assert_eq!(told.detail["media"], "video");
    assert_eq!(told.detail["ever_came"], false);
}

#[test]
fn a_restart_of_both_legs_is_no_stopped_leg() {
    let mut rig = Rig::new(Codec::H264);
    for n in 0..3 {
        let (mut video, mut audio) = (Sender::video(10 + n), Sender::audio(20 + n));
        run(
            &mut rig,
            Some(&mut video),
            Some(&mut audio),
            (0, 4000, 2000),
        );
        rig.pass_ms(15_000);
        assert!(!rig.stream.info().live);
        video = Sender::video(100 + n);
        run(&mut rig, Some(&mut video), None, (0, 400, 2000));
    }
    assert!(rig.warnings().is_empty());
}

#[test]
fn what_a_publisher_does_not_bring_has_not_stopped() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    rig.ingest.follow_reports();
    rig.ingest.brings([true, false]);
    run(&mut rig, Some(&mut video), None, (0, 8000, 2000));
    assert!(rig.warnings().is_empty() && rig.stream.warnings().is_empty());
}

#[test]
fn a_stream_without_audio_misses_none() {
    let (mut rig, mut video) = (Rig::of_video(Codec::H264), Sender::video(1));
    run(&mut rig, Some(&mut video), None, (0, 8000, 2000));
    assert!(rig.warnings().is_empty());
}

#[test]
fn key_frames_ten_seconds_apart_are_fine_and_fifteen_are_named() {
    let (mut rig, mut video) = (Rig::of_video(Codec::H264), Sender::video(1));
    run(&mut rig, Some(&mut video), None, (0, 30_000, 10_000));
    assert!(rig.warnings().is_empty());
    run(&mut rig, Some(&mut video), None, (30_000, 30_000, 15_000));
    assert_eq!(rig.warnings(), ["long_gop"]);
    assert_eq!(rig.stream.warnings(), ["long_gop"]);
    run(&mut rig, Some(&mut video), None, (60_000, 6000, 2000));
    assert!(rig.stream.warnings().is_empty());
}

#[test]
fn b_frames_of_one_run_are_forgotten_with_the_next() {
    let mut rig = Rig::of_video(Codec::H264);
    for n in 0..2 {
        let mut video = Sender::video(1 + n);
        video.send_report(&mut rig, T0_US);
        video.send_keyframe(&mut rig, 0);
        for pts in [160, 80, 40, 120, 320, 240] {
            video.send(&mut rig, pts, true, SLICE);
        }
        assert_eq!(rig.warnings(), ["b_frames"], "once per start");
        assert_eq!(rig.stream.warnings(), ["b_frames"]);
        rig.pass_ms(300);
    }
    Sender::video(9).send_keyframe(&mut rig, 0);
    assert!(rig.stream.warnings().is_empty());
    rig.stream.end();
    assert!(rig.stream.warnings().is_empty());
}
