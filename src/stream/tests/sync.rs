//! Lip sync: whatever arrives when, both media stand at FFmpeg's own time, to the tick.

use std::time::{Duration, SystemTime};

use super::rig::{OPUS, Rig, SLICE, Sender, T0_US};
use crate::rtp::Media;
use crate::rtp::codec::Codec;

/// The time between a video and an audio batch on the line, in units of 1/720,000 s (both clocks divide it).
fn apart(rig: &Rig, video_pts_ms: i64, audio_pts_ms: i64) -> i64 {
    let batches = rig.batches();
    let of = |media| {
        let batch = batches.iter().find(|batch| batch.media == media).unwrap();
        i64::from(batch.timestamp as i32)
    };
    (of(Media::Video) * 8 - video_pts_ms * 720) - (of(Media::Audio) * 15 - audio_pts_ms * 720)
}

#[test]
fn both_media_share_one_line_over_restarts_to_the_tick() {
    let mut rig = Rig::new(Codec::H264);
    for run in 0..10u32 {
        let (mut video, mut audio) = (Sender::video(100 + run), Sender::audio(200 + run));
        // The encoder's delay: audio arrives 1.7 s before the video of the same time; reports at odd moments.
        audio.send_report(&mut rig, T0_US + 123_456 + u64::from(run) * 7_654_321);
        audio.send(&mut rig, -7, true, OPUS);
        audio.send(&mut rig, 13, true, OPUS);
        for frame in 1..85 {
            rig.pass_ms(20);
            audio.send(&mut rig, 13 + frame * 20, true, OPUS);
        }
        video.send_report(&mut rig, T0_US + 99_999_111 + u64::from(run) * 7_654_321);
        video.send_keyframe(&mut rig, 0);
        assert_eq!(apart(&rig, 0, -7), 0, "run {run}");
        video.send(&mut rig, 40, true, SLICE);
        rig.pass_ms(700);
        rig.batches();
    }
    assert_eq!(rig.stream.stats().restarts, 9);
}

#[test]
fn video_may_come_first_and_a_days_old_start_time_is_as_good() {
    let mut rig = Rig::new(Codec::H264);
    for run in 0..5u32 {
        let days = u64::from(run) * 86_400_000_000 * 3 + 1_234_567;
        let (mut video, mut audio) = (Sender::video(100 + run), Sender::audio(200 + run));
        video.send_report(&mut rig, T0_US + days);
        video.send_keyframe(&mut rig, 120);
        rig.pass_ms(30);
        audio.send_report(&mut rig, T0_US + days + 30_000);
        audio.send(&mut rig, 0, true, OPUS);
        audio.send(&mut rig, 20, true, OPUS);
        assert_eq!(apart(&rig, 120, 0), 0, "run {run}");
        rig.pass_ms(1000);
    }
}

#[test]
fn times_beyond_a_turn_of_the_video_clock_are_told_by_the_audio() {
    // `-copyts`: seven hours are past half a turn of 32 bits at 90 kHz, not at 48 kHz.
    let (mut rig, mut video, mut audio) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::audio(2));
    let pts_ms = 7 * 3_600_000;
    audio.send_report(&mut rig, T0_US + 5_000_000);
    audio.send(&mut rig, pts_ms, true, OPUS);
    audio.send(&mut rig, pts_ms + 20, true, OPUS);
    rig.pass_ms(100);
    video.send_report(&mut rig, T0_US + 5_000_000);
    video.send_keyframe(&mut rig, pts_ms + 40);
    assert_eq!(apart(&rig, 40, 0), 0);
}

#[test]
fn a_report_that_makes_no_sense_leaves_the_arrival() {
    let (mut rig, mut video, mut audio) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::audio(2));
    video.send_report(&mut rig, T0_US);
    video.send_keyframe(&mut rig, 0);
    rig.pass_ms(50);
    audio.send_report(&mut rig, T0_US);
    audio.send(&mut rig, 4_000_000, true, OPUS);
    audio.send(&mut rig, 4_000_020, true, OPUS);
    assert_eq!(apart(&rig, 0, 50), 0);
}

#[test]
fn a_medium_that_died_before_it_spoke_does_not_join_the_wrong_run() {
    let mut rig = Rig::new(Codec::H264);
    let mut dead = Sender::video(1);
    dead.send_report(&mut rig, T0_US);
    dead.send_keyframe(&mut rig, 0);
    rig.pass_ms(15_000);
    rig.batches();
    let (mut video, mut audio) = (Sender::video(2), Sender::audio(3));
    audio.send_report(&mut rig, T0_US + 15_000_000);
    audio.send(&mut rig, 0, true, OPUS);
    audio.send(&mut rig, 20, true, OPUS);
    video.send_report(&mut rig, T0_US + 15_000_000);
    video.send_keyframe(&mut rig, 0);
    assert_eq!(apart(&rig, 0, 0), 0);
}

#[test]
fn sender_reports_of_both_media_have_one_clock() {
    let mut rig = Rig::new(Codec::H264);
    let at = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(rig.stream.timestamp_at(Media::Video, at), None);
    let (mut video, mut audio) = (Sender::video(1), Sender::audio(2));
    video.send_report(&mut rig, T0_US);
    audio.send_report(&mut rig, T0_US);
    video.send_keyframe(&mut rig, 0);
    audio.send(&mut rig, 0, true, OPUS);
    let before = rig.stream.timestamp_at(Media::Video, at).unwrap();
    let audio_before = rig.stream.timestamp_at(Media::Audio, at).unwrap();
    let later = at + Duration::from_secs(10);
    let after = rig.stream.timestamp_at(Media::Video, later).unwrap();
    assert_eq!(after.wrapping_sub(before), 900_000);
    // One clock at two rates; a tick of each may be cut.
    let apart = i64::from(before) * 8 - i64::from(audio_before) * 15;
    assert!(apart.abs() <= 15, "{apart}");
    // It keeps its zero over a restart.
    rig.pass_ms(5000);
    Sender::video(9).send_keyframe(&mut rig, 0);
    assert_eq!(rig.stream.timestamp_at(Media::Video, at), Some(before));
}

#[test]
fn the_line_stands_at_the_wall_clock_of_its_reports() {
    let mut rig = Rig::new(Codec::H264);
    let mut video = Sender::video(1);
    let now = SystemTime::now();
    video.send_report(&mut rig, T0_US);
    video.send_keyframe(&mut rig, 0);
    let sent = rig.batches()[0].timestamp;
    let told = rig.stream.timestamp_at(Media::Video, now).unwrap();
    let apart = told.wrapping_sub(sent) as i32;
    assert!(apart.abs() < 90_000, "{apart}");
}

#[test]
fn a_hostile_clock_does_not_break_the_line() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    for _ in 0..20_000 {
        video.base = video.base.wrapping_add(0x7fff_ffff);
        video.send(&mut rig, 0, true, SLICE);
    }
    rig.pass_ms(500);
    Sender::video(2).send_keyframe(&mut rig, 0);
    Sender::audio(2).send(&mut rig, 0, true, OPUS);
    assert!(rig.stream.info().live);
}
