//! FFmpeg dies and starts anew under the same legs: viewers see one line.

use super::rig::{OPUS, Rig, SLICE, Sender, T0_US};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::rtp::codec::vp8::Descriptor;

#[test]
fn sequence_and_time_go_on_over_many_restarts() {
    let mut rig = Rig::new(Codec::H264);
    let mut last: Option<(u64, u32)> = None;
    for run in 0..20u32 {
        let mut video = Sender::video(1000 + run);
        video.send_report(&mut rig, T0_US + u64::from(run) * 5_000_000);
        video.send_keyframe(&mut rig, 0);
        for frame in 1..100 {
            rig.pass_ms(40);
            video.send(&mut rig, frame * 40, true, SLICE);
        }
        for batch in rig.batches() {
            if let Some((seq, timestamp)) = last {
                assert_eq!(batch.first_seq, seq);
                let step = batch.timestamp.wrapping_sub(timestamp);
                // 40 ms, or the 540 ms FFmpeg was away.
                assert!(step == 3600 || step == 48_600, "{step}");
            }
            last = Some((
                batch.first_seq + batch.packets.len() as u64,
                batch.timestamp,
            ));
        }
        rig.pass_ms(540);
    }
    assert_eq!(rig.stream.stats().restarts, 19);
}

#[test]
fn a_line_that_ran_ahead_of_the_clock_never_turns_back() {
    // 7.x sends the first half second at once: the next run starts behind it all the same.
    let mut rig = Rig::new(Codec::H264);
    let mut first = Sender::video(1);
    first.send_report(&mut rig, T0_US);
    first.send_keyframe(&mut rig, 0);
    for frame in 1..50 {
        first.send(&mut rig, frame * 40, true, SLICE);
    }
    rig.pass_ms(250);
    let mut second = Sender::video(2);
    second.send_report(&mut rig, T0_US + 250_000);
    second.send_keyframe(&mut rig, 0);
    let batches = rig.batches();
    let (before, after) = (&batches[49], &batches[50]);
    let step = after.timestamp.wrapping_sub(before.timestamp);
    assert!((1..9000).contains(&step), "{step}");
}

#[test]
fn vp8_picture_ids_go_on() {
    let mut rig = Rig::new(Codec::Vp8);
    let key = |id: u8| {
        [
            0x90, 0x80, 0x80, id, 0x70, 0x9d, 1, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0,
        ]
    };
    let delta = |id: u8| [0x90, 0x80, 0x80, id, 0x71, 0x1c, 0];
    let mut expected = 0;
    for run in 0..3 {
        let mut video = Sender::video(10 + run);
        video.send(&mut rig, 0, true, &key(0));
        video.send(&mut rig, 40, false, &delta(1));
        video.send(&mut rig, 40, true, &[0x80, 0x80, 0x80, 1, 9]);
        video.send(&mut rig, 80, true, &delta(2));
        rig.pass_ms(300);
        for batch in rig.batches() {
            for span in &batch.packets {
                let descriptor = Descriptor::parse(batch.payload_of(span)).unwrap();
                assert_eq!(descriptor.picture_id.unwrap().value, expected);
            }
            expected += 1;
        }
    }
    assert_eq!(expected, 9);
}

#[test]
fn the_first_key_frame_of_a_new_run_goes_out_though_deltas_came_before_it() {
    let mut rig = Rig::new(Codec::H264);
    let mut first = Sender::video(1);
    first.send_keyframe(&mut rig, 0);
    rig.pass_ms(300);
    rig.batches();
    let mut second = Sender::video(2);
    second.send(&mut rig, 0, true, SLICE);
    second.send(&mut rig, 40, true, SLICE);
    second.send_keyframe(&mut rig, 80);
    let batches = rig.batches();
    assert_eq!(batches.len(), 1);
    assert!(batches[0].keyframe);
    assert_eq!(batches[0].first_seq, 2);
    assert_eq!(rig.counters.leg_drops.value(), 2);
}

#[test]
fn audio_without_reports_follows_its_arrival() {
    let mut rig = Rig::new(Codec::H264);
    let mut last = None;
    for run in 0..3 {
        let mut audio = Sender::audio(50 + run);
        for frame in 0..10 {
            audio.send(&mut rig, frame * 20, true, OPUS);
            rig.pass_ms(20);
        }
        for batch in rig.batches_of(Media::Audio) {
            if let Some(before) = last {
                let step: u32 = batch.timestamp.wrapping_sub(before);
                assert!(
                    step == 960 || (960 + 14_400..=960 + 14_448).contains(&step),
                    "{step}"
                );
            }
            last = Some(batch.timestamp);
        }
        rig.pass_ms(300);
    }
    assert_eq!(
        rig.stream.stats().restarts,
        0,
        "a restart is counted at the video leg"
    );
}
