//! VP9, H265 and AV1 as FFmpeg sends them, and what of it leaves for viewers.

use super::rig::{Rig, Sender};
use crate::rtp::Media;
use crate::rtp::codec::{Codec, TrackFacts, h265, inspect};
use crate::stream::FrameBatch;

/// FFmpeg 5.1.9 with libvpx-vp9, 640x360.
const VP9_KEY: [u8; 11] = [
    0x08, 0x83, 0x49, 0x83, 0x42, 0, 0x27, 0xf0, 0x16, 0x70, 0x20,
];
const VP9_KEY_END: [u8; 3] = [0x04, 0xca, 0x92];
const VP9_DELTA: [u8; 4] = [0x0c, 0x87, 0x01, 0x02];

/// FFmpeg 5.1.9 with libx265: an AP of the parameter sets, a first fragment of an IDR, its last, an inter slice.
const VPS: [u8; 4] = [0x40, 1, 0x0c, 1];
const SPS: [u8; 20] = [
    0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a,
];
const PPS: [u8; 4] = [0x44, 1, 0xc0, 0x73];
const H265_IDR: [&[u8]; 2] = [&[0x62, 1, 0x94, 0xac, 0x4c], &[0x62, 1, 0x54, 0x7d]];
const H265_SLICE: [u8; 5] = [0x02, 1, 0xd0, 0x09, 0x78];

/// FFmpeg 9.0.2 with libaom: sequence header and key frame, key frame alone, inter frame.
const AV1_KEY: [u8; 18] = [
    0x28, 0x0c, 0x08, 0, 0, 0, 0x0c, 0xc4, 0xff, 0x67, 0x36, 0xbe, 0x40, 0x10, 0x30, 0x10, 0x10, 0,
];
const AV1_BARE_KEY: [u8; 5] = [0x18, 0x30, 0x10, 0x10, 0];
const AV1_DELTA: [u8; 4] = [0x10, 0x30, 0x30, 0x03];

fn h265_sets() -> Vec<u8> {
    let mut ap = vec![0x60, 1];
    for unit in [&VPS[..], &SPS, &PPS] {
        ap.extend((unit.len() as u16).to_be_bytes());
        ap.extend(unit);
    }
    ap
}

fn payloads(batch: &FrameBatch) -> Vec<&[u8]> {
    let spans = batch.packets.iter();
    spans.map(|span| batch.payload_of(span)).collect()
}

#[test]
fn vp9_leaves_with_a_descriptor_browsers_can_work_with() {
    let (mut rig, mut video) = (Rig::of_video(Codec::Vp9), Sender::video(1));
    video.send(&mut rig, 0, false, &VP9_KEY);
    video.send(&mut rig, 0, true, &VP9_KEY_END);
    video.send(&mut rig, 40, true, &VP9_DELTA);
    let batches = rig.batches();
    let key = [
        0x8a, 0x80, 0, 0x18, 2, 0x80, 1, 0x68, 1, 4, 1, 0x83, 0x49, 0x83, 0x42, 0, 0x27, 0xf0,
        0x16, 0x70, 0x20,
    ];
    assert!(batches[0].keyframe && !batches[1].keyframe);
    assert_eq!(
        payloads(&batches[0]),
        [&key[..], &[0x84, 0x80, 0, 0xca, 0x92]]
    );
    assert_eq!(
        payloads(&batches[1]),
        [&[0xcc, 0x80, 1, 0x87, 0x01, 0x02][..]]
    );
    let facts = TrackFacts {
        codec: Codec::Vp9,
        profile_level_id: Some([0, 0, 0]),
    };
    assert_eq!(rig.stream.info().video, Some(facts));
    assert!(rig.warnings().is_empty());
}

#[test]
fn vp9_picture_ids_go_on_over_restarts_and_miss_one_where_packets_are_lost() {
    let mut rig = Rig::of_video(Codec::Vp9);
    let mut seen = Vec::new();
    for run in 0..3 {
        let mut video = Sender::video(10 + run);
        video.send(&mut rig, 0, true, &VP9_KEY);
        video.send(&mut rig, 40, true, &VP9_DELTA);
        if run == 1 {
            video.seq = video.seq.wrapping_add(200);
        }
        video.send(&mut rig, 80, true, &VP9_DELTA);
        rig.pass_ms(300);
        for batch in rig.batches() {
            seen.push(payloads(&batch)[0][2]);
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
}

#[test]
fn h265_parameter_sets_sent_once_are_put_in_front_of_later_key_frames() {
    let (mut rig, mut video) = (Rig::of_video(Codec::H265), Sender::video(1));
    video.send(&mut rig, 0, false, &h265_sets());
    video.send(&mut rig, 0, false, H265_IDR[0]);
    video.send(&mut rig, 0, true, H265_IDR[1]);
    video.send(&mut rig, 40, true, &H265_SLICE);
    video.send(&mut rig, 80, false, H265_IDR[0]);
    video.send(&mut rig, 80, true, H265_IDR[1]);
    let batches = rig.batches();
    let keys: Vec<_> = batches.iter().map(|batch| batch.keyframe).collect();
    assert_eq!(keys, [true, false, true]);
    assert_eq!(payloads(&batches[2])[0], h265_sets());
    assert_eq!(batches[2].packets.len(), 3);
    assert_eq!(
        rig.stream.info().video.and_then(|it| it.profile_level_id),
        Some([1, 0, 60])
    );
    assert!(rig.warnings().is_empty());
}

#[test]
fn h265_parameter_sets_in_packets_of_their_own_wait_for_their_picture() {
    let (mut rig, mut video) = (Rig::of_video(Codec::H265), Sender::video(1));
    for unit in [&VPS[..], &SPS, &PPS] {
        video.send(&mut rig, 0, false, unit);
        rig.pass_ms(5);
    }
    assert!(rig.batches().is_empty());
    video.send(&mut rig, 0, true, &[0x26, 1, 0xac, 0x4c]);
    let batches = rig.batches();
    assert_eq!((batches.len(), batches[0].packets.len()), (1, 4));
    assert_eq!(
        h265::kind_of(payloads(&batches[0])[0]),
        Some(h265::nal::VPS)
    );
}

#[test]
fn an_av1_sequence_header_sent_once_is_put_in_front_of_later_key_frames() {
    let (mut rig, mut video) = (Rig::of_video(Codec::Av1), Sender::video(1));
    video.send(&mut rig, 0, true, &AV1_KEY);
    video.send(&mut rig, 40, true, &AV1_DELTA);
    video.send(&mut rig, 80, true, &AV1_BARE_KEY);
    let batches = rig.batches();
    let keys: Vec<_> = batches.iter().map(|batch| batch.keyframe).collect();
    assert_eq!(keys, [true, false, true]);
    assert_eq!(payloads(&batches[0]), [&AV1_KEY[..]], "left as it came");
    let sets = inspect(Codec::Av1, payloads(&batches[2])[0]).unwrap();
    assert!(sets.sequence_header && !sets.picture_start);
    assert_eq!(payloads(&batches[2])[1], AV1_BARE_KEY);
    assert!(rig.warnings().is_empty());
}

#[test]
fn av1_and_h265_without_their_headers_are_held_back_and_named() {
    for (codec, key) in [
        (Codec::Av1, &AV1_BARE_KEY[..]),
        (Codec::H265, &[0x26, 1, 0xac, 0x4c]),
    ] {
        let (mut rig, mut video) = (Rig::of_video(codec), Sender::video(1));
        for frame in 0..20 {
            video.send(&mut rig, frame * 40, true, key);
            rig.pass_ms(40);
        }
        assert!(rig.batches_of(Media::Video).is_empty());
        assert_eq!(rig.warnings(), ["no_parameter_sets"]);
        assert_eq!(rig.stream.warnings(), ["no_parameter_sets"]);
    }
}

#[test]
fn every_codec_on_the_leg_of_another_is_refused() {
    let starts: [(Codec, &[u8]); 3] = [
        (Codec::Vp9, &VP9_KEY),
        (Codec::H265, H265_IDR[0]),
        (Codec::Av1, &AV1_KEY),
    ];
    for (sent, payload) in starts {
        for (expected, _) in starts.iter().filter(|(codec, _)| *codec != sent) {
            let (mut rig, mut video) = (Rig::of_video(*expected), Sender::video(1));
            for frame in 0..60 {
                video.send(&mut rig, frame * 40, true, payload);
                rig.pass_ms(40);
            }
            assert!(rig.batches().is_empty(), "{sent:?} on {expected:?}");
            assert_eq!(rig.stream.warnings().len(), 1, "{sent:?} on {expected:?}");
        }
    }
}
