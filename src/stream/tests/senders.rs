//! Who may send: wrong kinds, foreigners, second SSRCs, bytes that are nothing.

use proptest::prelude::*;

use super::rig::{AUDIO_PT, OPUS, Rig, SLICE, Sender, VIDEO_PT};
use crate::events::EventKind;
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::{Expectation, TrackExpectation};

#[test]
fn videos_type_on_the_audio_port_is_dropped_counted_and_named_once() {
    let mut rig = Rig::new(Codec::H264);
    let mut crossed = Sender::video(1);
    crossed.media = Media::Audio; // to the audio port
    for frame in 0..5 {
        crossed.send(&mut rig, frame * 40, true, SLICE);
    }
    assert!(rig.batches().is_empty());
    assert_eq!(rig.counters.leg_wrong_kind.value(), 5);
    assert_eq!(rig.counters.leg_drops.value(), 0);
    let events = rig.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::Warning);
    assert_eq!(
        events[0].detail,
        serde_json::json!({
            "code": "wrong_kind", "port": "audio", "got": VIDEO_PT, "expected": [AUDIO_PT], "sender": "other_leg",
        })
    );
}

#[test]
fn an_ffmpeg_that_outlived_its_host_does_not_mix_into_the_stream() {
    let (mut rig, mut video) = (Rig::new(Codec::H264), Sender::video(1));
    let mut outlived = Sender::video(99);
    outlived.payload_type = 110;
    video.send_keyframe(&mut rig, 0);
    for frame in 1..50 {
        outlived.send_keyframe(&mut rig, frame * 40);
        video.send(&mut rig, frame * 40, true, SLICE);
        rig.pass_ms(40);
    }
    let batches = rig.batches();
    assert_eq!(batches.len(), 50);
    assert!(
        batches
            .windows(2)
            .all(|pair| pair[1].timestamp - pair[0].timestamp == 3600)
    );
    assert_eq!(rig.counters.leg_wrong_kind.value(), 98);
    assert_eq!(rig.warnings(), ["wrong_kind"]);
}

#[test]
fn on_a_single_port_the_payload_type_tells_the_media() {
    let mut rig = Rig::new(Codec::H264);
    let (mut video, mut audio, mut foreign) =
        (Sender::video(1), Sender::audio(2), Sender::video(3));
    foreign.payload_type = 0;
    let now = rig.now;
    for packet in [
        video.packet(0, false, super::rig::PARAMS),
        video.packet(0, true, super::rig::IDR),
        audio.packet(0, true, OPUS),
        audio.packet(20, true, OPUS),
        foreign.packet(0, true, SLICE),
    ] {
        rig.ingest.datagram(None, &packet, now);
    }
    let media: Vec<_> = rig.batches().iter().map(|batch| batch.media).collect();
    assert_eq!(media, [Media::Video, Media::Audio, Media::Audio]);
    assert_eq!(rig.counters.leg_wrong_kind.value(), 1);
}

#[test]
fn a_leg_that_is_not_expected_takes_nothing() {
    let video = TrackExpectation {
        codec: Codec::H264,
        payload_type: VIDEO_PT,
        copied: false,
    };
    let mut rig = Rig::with(Expectation {
        video: Some(video),
        audio: None,
        start_time_us: 0,
    });
    Sender::audio(1).send(&mut rig, 0, true, OPUS);
    assert_eq!(rig.counters.leg_wrong_kind.value(), 1);
    assert_eq!(
        rig.stream
            .timestamp_at(Media::Audio, std::time::SystemTime::now()),
        None
    );
}

#[test]
fn a_second_ssrc_is_taken_after_200_ms_of_silence_only() {
    let (mut rig, mut first, mut second) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::video(2));
    first.send_keyframe(&mut rig, 0);
    rig.batches();
    rig.pass_ms(199);
    second.send_keyframe(&mut rig, 0);
    assert!(rig.batches().is_empty());
    assert_eq!(rig.counters.leg_second_ssrc.value(), 2);
    assert_eq!(rig.counters.leg_drops.value(), 2);
    assert_eq!(rig.stream.stats().restarts, 0);
    rig.pass_ms(1);
    second.send_keyframe(&mut rig, 40);
    assert_eq!(rig.batches().len(), 1);
    assert_eq!(rig.stream.stats().restarts, 1);
    first.send(&mut rig, 40, true, SLICE);
    assert_eq!(rig.counters.leg_second_ssrc.value(), 3);
}

#[test]
fn a_goodbye_lets_the_next_ssrc_in_at_once() {
    let (mut rig, mut first, mut second) =
        (Rig::new(Codec::H264), Sender::video(1), Sender::video(2));
    first.send_keyframe(&mut rig, 0);
    let bye = first.bye();
    rig.feed(Media::Video, &bye);
    second.send_keyframe(&mut rig, 0);
    assert_eq!(rig.batches().len(), 2);
    assert_eq!(rig.counters.leg_second_ssrc.value(), 0);
}

#[test]
fn bytes_that_are_no_rtp_are_counted() {
    let mut rig = Rig::new(Codec::H264);
    for junk in [
        &[][..],
        &[1, 2, 3],
        &[0x80, 200, 0, 9],
        &[0x40; 20],
        &[0x80; 12],
    ] {
        rig.feed(Media::Video, junk);
    }
    assert_eq!(rig.counters.leg_malformed.value(), 5);
    assert_eq!(rig.counters.leg_drops.value(), 5);
    assert_eq!(rig.counters.leg_packets_in.value(), 0);
}

/// What a random sender does: which leg, which of three SSRCs, how far its numbers jump, what it carries.
fn step() -> impl Strategy<Value = (bool, usize, u16, i64, bool, Vec<u8>, u64)> {
    let payload = prop_oneof![
        Just(super::rig::PARAMS.to_vec()),
        Just(super::rig::IDR.to_vec()),
        Just(SLICE.to_vec()),
        Just(OPUS.to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let jump = prop_oneof![8 => Just(0u16), 2 => 0u16..20, 1 => any::<u16>()];
    let time = prop_oneof![4 => Just(0i64), 4 => Just(40), 1 => any::<i32>().prop_map(i64::from)];
    (
        any::<bool>(),
        0usize..3,
        jump,
        time,
        any::<bool>(),
        payload,
        0u64..300,
    )
}

proptest! {
    #[test]
    fn whatever_comes_batches_follow_each_other(steps in proptest::collection::vec(step(), 0..80)) {
        let mut rig = Rig::new(Codec::H264);
        let mut senders = [1, 2, 3].map(|ssrc| [Sender::video(ssrc), Sender::audio(ssrc)]);
        let mut pts_ms = 0;
        for (audio, who, jump, time, marker, payload, wait_ms) in steps {
            let sender = &mut senders[who][usize::from(audio)];
            sender.seq = sender.seq.wrapping_add(jump);
            pts_ms += time;
            sender.send(&mut rig, pts_ms, marker, &payload);
            rig.ingest.datagram(None, &payload, rig.now);
            rig.pass_ms(wait_ms / 3);
        }
        rig.pass_ms(1);
        let mut next = [0, 0];
        for batch in rig.batches() {
            prop_assert!(!batch.packets.is_empty() && batch.packets.len() <= 64);
            prop_assert!(batch.first_seq >= next[batch.media as usize]);
            next[batch.media as usize] = batch.first_seq + batch.packets.len() as u64;
            let bytes: usize = batch.packets.iter().map(|span| batch.payload_of(span).len()).sum();
            prop_assert_eq!(bytes, batch.payload.len());
        }
    }
}
