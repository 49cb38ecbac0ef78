//! Who may send: wrong kinds, foreigners, second SSRCs, bytes that are nothing.

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
