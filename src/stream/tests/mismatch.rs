//! Runs that are not the codec they should be: nothing of them reaches a viewer.

use super::rig::{IDR, OPUS, PARAMS, Rig, SLICE, Sender};
use crate::rtp::codec::{Codec, TrackFacts};

/// First packets of `-c:v copy` from an HEVC MP4, without and with hevc_mp4toannexb.
const HEVC: [&[u8]; 4] = [
    &[0x60, 1, 0, 0x18, 0x40, 1, 0x0c, 1],
    &[0x62, 1, 0x94, 0xac, 0x74, 0x40],
    &[0x62, 1, 0x14, 0x83, 0x1d, 0x20],
    &[0x02, 1, 0xe0, 0x24, 0xfd, 0x7a],
];

#[test]
fn hevc_on_an_h264_leg_is_refused_and_named() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    for frame in 0..100 {
        for payload in HEVC {
            video.send(&mut rig, frame * 40, false, payload);
        }
    }
    assert!(rig.batches().is_empty());
    assert_eq!(rig.stream.info().video, None);
    assert!(!rig.stream.info().live);
    assert_eq!(rig.counters.leg_codec_mismatch.value(), 400);
    assert_eq!(rig.counters.leg_drops.value(), 400);
    let events = rig.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].detail["code"], "codec_mismatch");
    assert_eq!(events[0].detail["expected"], "H264");
}

#[test]
fn mpeg4_on_an_h264_leg_is_refused_even_where_a_fragment_looks_right() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    for frame in 0..50 {
        video.send(&mut rig, frame * 40, false, &[0, 0, 1, 0xb6, 0x10, 0x60]);
        // Bytes of the middle of a frame may be anything, a whole key frame of H264 among it.
        video.send(&mut rig, frame * 40, false, PARAMS);
        video.send(&mut rig, frame * 40, true, IDR);
    }
    assert!(rig.batches().is_empty());
    assert_eq!(rig.counters.leg_codec_mismatch.value(), 150);
    assert_eq!(rig.warnings(), ["codec_mismatch"]);
}

#[test]
fn h264_on_a_vp8_leg_is_refused() {
    let (mut rig, mut video) = (Rig::new(Codec::Vp8), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.send(&mut rig, 40, true, SLICE);
    assert!(rig.batches().is_empty());
    assert_eq!(rig.warnings(), ["codec_mismatch"]);
}

#[test]
fn video_on_an_audio_leg_under_its_own_type_is_refused() {
    // `-map 0:a:0?` without audio: FFmpeg encodes the video as MPEG-4 for that output.
    let (mut rig, mut audio) = (Rig::new(Codec::H264), Sender::audio(1));
    for frame in 0..20 {
        audio.send(&mut rig, frame * 75, false, &[0, 0, 1, 0xb6, 0x10]);
        audio.send(&mut rig, frame * 75, false, &[0x1d, 6, 4, 0x50]);
        audio.send(&mut rig, frame * 75, true, &[0x3f, 0xbd, 0x3d, 0x9f]);
    }
    assert!(rig.batches().is_empty());
    assert_eq!(rig.warnings(), ["codec_mismatch"]);
    assert_eq!(rig.stream.info().audio, None);
}

#[test]
fn facts_are_published_once_the_first_key_frame_parsed() {
    let (mut rig, mut video, mut audio) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::audio(2));
    let mut watch = rig.stream.watch();
    watch.mark_unchanged();
    video.send(&mut rig, 0, false, PARAMS);
    assert_eq!(rig.stream.info().video, None);
    video.send(&mut rig, 0, true, IDR);
    let h264 = TrackFacts {
        codec: Codec::H264,
        profile_level_id: Some([0x42, 0xc0, 0x14]),
    };
    assert_eq!(rig.stream.info().video, Some(h264));
    assert!(watch.has_changed().unwrap());
    audio.send(&mut rig, 0, true, OPUS);
    audio.send(&mut rig, 20, true, OPUS);
    let info = rig.stream.info();
    assert_eq!(info.audio.map(|facts| facts.codec), Some(Codec::Opus));
    assert!(info.live && info.expected == (true, true));
}

#[test]
fn a_restart_with_another_codec_takes_the_facts_back() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.pass_ms(300);
    let mut other = Sender::video(2);
    other.send(&mut rig, 0, false, HEVC[1]);
    assert_eq!(rig.stream.info().video, None);
    assert_eq!(rig.batches().len(), 1);
    rig.pass_ms(300);
    Sender::video(3).send_keyframe(&mut rig, 0);
    assert!(rig.stream.info().video.is_some());
    assert_eq!(rig.batches()[0].first_seq, 2);
}

#[test]
fn one_broken_packet_of_a_proven_run_is_dropped_alone() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.send(&mut rig, 40, false, &[0, 0]);
    video.send(&mut rig, 40, true, SLICE);
    let firsts: Vec<_> = rig.batches().iter().map(|batch| batch.first_seq).collect();
    assert_eq!(firsts, [0, 3]);
    assert_eq!(rig.counters.leg_codec_mismatch.value(), 1);
    assert!(rig.warnings().is_empty());
}

#[test]
fn copied_h264_without_parameter_sets_is_named_and_held_back() {
    let (mut rig, mut video) = (Rig::of_video(Codec::H264), Sender::video(1));
    for frame in 0..100 {
        let payload = if frame % 25 == 0 { IDR } else { SLICE };
        video.send(&mut rig, frame * 40, true, payload);
        rig.pass_ms(40);
    }
    assert!(rig.batches().is_empty());
    assert_eq!(rig.warnings(), ["no_parameter_sets"]);
    assert_eq!(rig.counters.leg_codec_mismatch.value(), 0);
    assert!(rig.counters.leg_drops.value() >= 99);
}

#[test]
fn a_run_that_never_shows_a_key_frame_is_named_after_two_seconds() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    let (mut vp8, mut other) = (Rig::new(Codec::Vp8), Sender::video(1));
    for frame in 0..60 {
        video.send(&mut rig, frame * 40, true, SLICE);
        other.send(&mut vp8, frame * 40, true, &[0x80, 0x80, 0x80, 0, 1, 2]);
        rig.pass_ms(40);
        vp8.pass_ms(40);
    }
    assert_eq!(rig.warnings(), ["no_parameter_sets"]);
    assert_eq!(vp8.warnings(), ["codec_mismatch"]);
}

#[test]
fn a_run_let_in_without_its_first_key_frame_may_take_longer() {
    let mut rig = Rig::of_video(Codec::H264);
    let (mut first, mut second) = (Sender::video(1), Sender::video(2));
    first.send_keyframe(&mut rig, 0);
    second.send_keyframe(&mut rig, 0);
    for frame in 1..200 {
        rig.pass_ms(40);
        second.send(&mut rig, frame * 40, true, SLICE);
    }
    second.send_keyframe(&mut rig, 8000);
    assert!(rig.warnings().is_empty());
    assert_eq!(rig.batches().len(), 2);
}

#[test]
fn b_frames_are_named_once_and_passed_on() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    for pts in [160, 80, 40, 120, 320, 240] {
        video.send(&mut rig, pts, true, SLICE);
    }
    assert_eq!(rig.batches().len(), 7);
    assert_eq!(rig.warnings(), ["b_frames"]);
}
