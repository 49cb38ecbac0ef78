//! When a batch closes and what is in it.

use std::time::Duration;

use super::rig::{IDR, OPUS, PARAMS, Rig, SLICE, Sender};
use crate::rtp::Media;
use crate::rtp::codec::Codec;

#[test]
fn a_key_frame_is_one_batch_with_its_parameter_sets() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.send(&mut rig, 40, true, SLICE);
    let batches = rig.batches();
    assert_eq!(batches.len(), 2);
    assert!(batches[0].keyframe && !batches[1].keyframe);
    let payloads: Vec<_> = batches[0]
        .packets
        .iter()
        .map(|span| (batches[0].payload_of(span), span.marker))
        .collect();
    assert_eq!(payloads, [(PARAMS, false), (IDR, true)]);
    assert_eq!((batches[0].first_seq, batches[1].first_seq), (0, 2));
    assert_eq!(batches[1].timestamp - batches[0].timestamp, 3600);
    assert_eq!(rig.counters.leg_packets_in.value(), 3);
    let bytes = 3 * 12 + PARAMS.len() + IDR.len() + SLICE.len();
    assert_eq!(rig.counters.leg_bytes_in.value(), bytes as u64);
    assert_eq!(rig.stream.stats().packets, 3);
}

#[test]
fn a_new_timestamp_closes_a_frame_without_marker() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.send(&mut rig, 40, false, SLICE);
    assert_eq!(rig.batches().len(), 1);
    video.send(&mut rig, 80, false, SLICE);
    assert_eq!(rig.batches().len(), 1);
}

#[test]
fn a_millisecond_of_silence_closes_a_frame() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    video.send(&mut rig, 40, false, SLICE);
    assert_eq!(
        rig.ingest.next_timeout(),
        Some(rig.now + Duration::from_millis(1))
    );
    rig.pass_ms(1);
    assert_eq!(rig.batches().len(), 1);
}

#[test]
fn a_publishers_frame_waits_half_a_millisecond_for_its_next_packet_and_one_for_its_end() {
    let us = Duration::from_micros;
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    rig.ingest.follow_reports();
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    video.send(&mut rig, 40, false, SLICE);
    assert_eq!(rig.ingest.next_timeout(), Some(rig.now + us(500)));
    rig.now += us(400);
    video.send(&mut rig, 40, false, SLICE);
    rig.now += us(400);
    video.send(&mut rig, 40, false, SLICE);
    assert_eq!(rig.ingest.next_timeout(), Some(rig.now + us(200)));
    assert!(rig.batches().is_empty() && rig.ingest.is_unfinished());
    // What the timer would do, a packet that comes meanwhile does.
    rig.now += us(200);
    video.send(&mut rig, 40, false, SLICE);
    assert_eq!(rig.batches()[0].packets.len(), 4);
    assert!(rig.ingest.is_unfinished());
    video.send(&mut rig, 40, true, SLICE);
    assert!(!rig.ingest.is_unfinished());
}

#[test]
fn parameter_sets_wait_for_their_picture_through_a_silence() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    video.send(&mut rig, 40, false, PARAMS);
    rig.pass_ms(5);
    assert!(rig.batches().is_empty());
    video.send(&mut rig, 40, true, IDR);
    let batches = rig.batches();
    assert_eq!(
        (batches.len(), batches[0].keyframe, batches[0].packets.len()),
        (1, true, 2)
    );
}

#[test]
fn a_large_frame_leaves_in_batches_of_63_packets_and_64_kilobytes() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    for n in 0..130 {
        video.send(&mut rig, 40, n == 129, SLICE);
    }
    let sizes: Vec<_> = rig
        .batches()
        .iter()
        .map(|batch| batch.packets.len())
        .collect();
    assert_eq!(sizes, [63, 63, 4]);
    let large = [SLICE, &[7; 1396]].concat();
    for n in 0..60 {
        video.send(&mut rig, 80, n == 59, &large);
    }
    let batches = rig.batches();
    assert!(batches.iter().all(|batch| batch.payload.len() <= 65_536));
    assert_eq!(
        batches
            .iter()
            .map(|batch| batch.packets.len())
            .collect::<Vec<_>>(),
        [46, 14]
    );
}

#[test]
fn only_the_first_batch_of_a_large_key_frame_is_a_start() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send(&mut rig, 0, false, PARAMS);
    for n in 0..100 {
        video.send(&mut rig, 0, n == 99, IDR);
    }
    let flags: Vec<_> = rig.batches().iter().map(|batch| batch.keyframe).collect();
    assert_eq!(flags, [true, false]);
}

#[test]
fn audio_leaves_at_once_without_its_marker() {
    let (mut rig, mut audio) = (Rig::new(Codec::H264), Sender::audio(1));
    audio.send(&mut rig, 0, true, OPUS);
    audio.send(&mut rig, 20, true, OPUS);
    audio.send(&mut rig, 40, true, OPUS);
    let batches = rig.batches_of(Media::Audio);
    assert_eq!(batches.len(), 3);
    assert!(
        batches
            .iter()
            .all(|batch| !batch.packets[0].marker && !batch.keyframe)
    );
    assert_eq!(
        batches[2].timestamp.wrapping_sub(batches[0].timestamp),
        1920
    );
}

#[test]
fn a_lost_packet_stays_a_hole_and_a_repeated_one_is_dropped() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    video.send(&mut rig, 40, false, SLICE);
    video.packet(40, false, SLICE);
    let last = video.packet(40, true, SLICE);
    rig.feed(Media::Video, &last);
    rig.feed(Media::Video, &last);
    rig.pass_ms(1);
    rig.feed(Media::Video, &last);
    let firsts: Vec<_> = rig.batches().iter().map(|batch| batch.first_seq).collect();
    assert_eq!(firsts, [2, 4]);
    assert_eq!(rig.counters.leg_drops.value(), 2);
    video.send(&mut rig, 80, true, SLICE);
    assert_eq!(rig.batches()[0].first_seq, 5);
}

#[test]
fn many_lost_packets_are_not_waited_for() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.packet(40, false, SLICE);
    video.send(&mut rig, 40, true, SLICE); // waits
    video.seq = video.seq.wrapping_add(100);
    video.send(&mut rig, 80, true, SLICE);
    let firsts: Vec<_> = rig.batches().iter().map(|batch| batch.first_seq).collect();
    assert_eq!(firsts, [0, 3, 104]);
}

#[test]
fn packets_that_overtook_others_are_put_in_order() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.seq = 65_533;
    video.send_keyframe(&mut rig, 0);
    rig.batches();
    let mut packets: Vec<_> = (0..4u8)
        .map(|n| video.packet(40, n == 3, &[0x41, 0x9a, n]))
        .collect();
    packets.swap(0, 2);
    packets.push(video.packet(80, true, SLICE));
    for packet in [4, 0, 1, 2, 3].map(|at| &packets[at]) {
        rig.feed(Media::Video, packet);
    }
    let batches = rig.batches();
    assert_eq!(batches.len(), 2);
    assert_eq!(
        &batches[0].payload[..],
        [0x41, 0x9a, 0, 0x41, 0x9a, 1, 0x41, 0x9a, 2, 0x41, 0x9a, 3]
    );
    assert_eq!((batches[0].first_seq, batches[1].first_seq), (2, 6));
    assert_eq!(rig.counters.leg_drops.value(), 0);
}

#[test]
fn a_new_run_does_not_wait_for_the_holes_of_the_old_one() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.packet(40, false, SLICE);
    video.send(&mut rig, 40, true, SLICE);
    rig.now += std::time::Duration::from_millis(300); // the timer was late
    Sender::video(2).send_keyframe(&mut rig, 0);
    let firsts: Vec<_> = rig.batches().iter().map(|batch| batch.first_seq).collect();
    assert_eq!(firsts, [0, 3, 4]);
}

#[test]
fn sequence_numbers_and_timestamps_wrap_without_a_seam() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.seq = 65_530;
    video.base = u32::MAX - 50_000;
    video.send_keyframe(&mut rig, 0);
    let (mut seq, mut timestamp) = (2, rig.batches()[0].timestamp);
    for frame in 1..200_000i64 {
        video.send(&mut rig, frame * 40, true, SLICE);
        let batch = rig.batches().remove(0);
        timestamp = u32::wrapping_add(timestamp, 3600);
        assert_eq!((batch.first_seq, batch.timestamp), (seq, timestamp));
        seq += 1;
    }
}

#[test]
fn encoders_that_send_parameter_sets_once_get_them_before_every_key_frame() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    video.send_keyframe(&mut rig, 0);
    video.send(&mut rig, 40, true, IDR);
    video.send(&mut rig, 80, true, SLICE);
    let batches = rig.batches();
    assert!(batches[1].keyframe);
    assert_eq!(batches[1].packets.len(), 2);
    let sets = batches[1].payload_of(&batches[1].packets[0]);
    assert_eq!(
        sets,
        &PARAMS[..sets.len()].to_vec()[..]
            .iter()
            .enumerate()
            .map(|(at, byte)| if at == 0 { 0x78 } else { *byte })
            .collect::<Vec<_>>()[..]
    );
    assert_eq!(batches[1].payload_of(&batches[1].packets[1]), IDR);
    let firsts: Vec<_> = batches.iter().map(|batch| batch.first_seq).collect();
    assert_eq!(firsts, [0, 2, 4]);
    assert!(rig.warnings().is_empty());
}
