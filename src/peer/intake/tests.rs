//! A publisher's packets on a virtual clock: what reaches the ingest, and what the publisher is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::rtp::codec::Codec;

const KEY: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
const DELTA: [u8; 4] = [0x10, 0x11, 0x02, 0x00];

struct Rig {
    intake: Intake,
    out: Published,
    now: Instant,
    counters: Arc<Counters>,
}

/// What one packet to the ingest says: payload type, number, SSRC, payload; or RTCP.
#[derive(Debug, PartialEq)]
enum Got {
    Rtp(u8, u16, u32, Vec<u8>),
    Rtcp(u8),
}

fn setup(media: Media, rids: &[&str]) -> IntakeSetup {
    let video = media == Media::Video;
    IntakeSetup {
        codec: if video { Codec::Vp8 } else { Codec::Opus },
        payload_type: if video { 96 } else { 111 },
        rtx: video.then_some(97),
        ingest_payload_type: if video { 100 } else { 101 },
        rids: rids.iter().map(|&rid| rid.to_owned()).collect(),
        nack: video,
        pli: true,
    }
}

impl Rig {
    fn new(rids: &[&str]) -> Self {
        Self::wishing(rids, None)
    }

    fn wishing(rids: &[&str], wish: Option<&str>) -> Self {
        let counters = Arc::new(Counters::default());
        let now = Instant::now();
        let extensions = ExtensionIds {
            rid: Some(10),
            repaired_rid: Some(11),
            transport_cc: Some(3),
        };
        let media = [
            Some(setup(Media::Video, rids)),
            Some(setup(Media::Audio, &[])),
        ];
        Self {
            intake: Intake::new(media, extensions, wish, counters.clone(), now),
            out: Published::default(),
            now,
            counters,
        }
    }

    fn send(&mut self, pt: u8, seq: u16, ssrc: u32, extension: &[u8], payload: &[u8]) -> Vec<Got> {
        let mut packet = vec![0x80, pt];
        packet.extend(seq.to_be_bytes());
        packet.extend((u32::from(seq) * 3000).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        if !extension.is_empty() {
            packet[0] |= 0x10;
            let words = extension.len().div_ceil(4);
            packet.extend([0xbe, 0xde, 0, words as u8]);
            packet.extend(extension);
            packet.resize(16 + words * 4, 0);
        }
        packet.extend(payload);
        let start = self.out.bytes.len();
        self.out.bytes.extend(packet);
        self.intake.packet(start, self.now, &mut self.out);
        self.got()
    }

    fn video(&mut self, seq: u16, payload: &[u8]) -> Vec<Got> {
        self.send(96, seq, 1, &[], payload)
    }

    fn layer(&mut self, rid: &str, seq: u16, ssrc: u32, payload: &[u8]) -> Vec<Got> {
        let mut extension = vec![0xa0 | (rid.len() as u8 - 1)];
        extension.extend(rid.as_bytes());
        self.send(96, seq, ssrc, &extension, payload)
    }

    fn got(&mut self) -> Vec<Got> {
        let got = self.out.packets().map(|packet| match packet[1] {
            192..=223 => Got::Rtcp(packet[1]),
            _ => {
                let header = Header::parse(packet).unwrap();
                let payload = packet[header.payload.clone()].to_vec();
                Got::Rtp(header.payload_type, header.seq, header.ssrc, payload)
            }
        });
        let got = got.collect();
        self.out.clear();
        got
    }

    /// Passes time; what was asked for meanwhile.
    fn pass(&mut self, ms: u64) -> (Vec<u16>, Vec<u32>, Vec<Got>) {
        let end = self.now + Duration::from_millis(ms);
        let (mut missing, mut keyframes) = (Vec::new(), Vec::new());
        while let Some(due) = self.intake.due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let asks = self.intake.handle_timeout(self.now, &mut self.out);
            missing.extend(asks.missing.into_iter().flat_map(|(_, seqs)| seqs));
            keyframes.extend(asks.keyframes.iter().map(|(ssrc, _)| *ssrc));
        }
        self.now = end;
        (missing, keyframes, self.got())
    }
}

fn rtp(seq: u16, payload: &[u8]) -> Got {
    Got::Rtp(100, seq, 1, payload.to_vec())
}

#[test]
fn packets_get_the_ingests_payload_type_and_lose_extension_and_padding() {
    let mut rig = Rig::new(&[]);
    let twcc = [0x31, 0, 7];
    assert_eq!(rig.send(96, 5, 1, &twcc, &KEY), [rtp(5, &KEY)]);
    assert_eq!(
        rig.send(111, 9, 2, &[], &[0xfc]),
        [Got::Rtp(101, 9, 2, vec![0xfc])]
    );
    assert!(rig.intake.arrivals.due().is_some());
    assert_eq!(rig.counters.publish_packets_in.value(), 2);
    assert!(rig.counters.publish_bytes_in.value() > 40);
}

#[test]
fn what_was_not_negotiated_is_dropped_and_counted() {
    let mut rig = Rig::new(&[]);
    assert_eq!(rig.send(98, 5, 1, &[], &KEY), []);
    rig.video(5, &KEY);
    assert_eq!(rig.send(111, 6, 1, &[], &KEY), [], "audio on video's SSRC");
    let start = rig.out.bytes.len();
    rig.out.bytes.extend([0x8f, 96, 1]);
    rig.intake.packet(start, rig.now, &mut rig.out);
    assert_eq!(rig.got(), []);
    assert_eq!(rig.counters.publish_dropped.value(), 3);
}

#[test]
fn a_hole_is_asked_for_and_filled_by_rtx_in_order() {
    let mut rig = Rig::new(&[]);
    rig.video(10, &KEY);
    assert_eq!(rig.video(12, &[3]), []);
    assert_eq!(rig.video(13, &[4]), []);
    let (missing, ..) = rig.pass(10);
    assert_eq!(missing, [11]);
    let repair = [&11_u16.to_be_bytes()[..], &[2]].concat();
    assert_eq!(
        rig.send(97, 900, 77, &[], &repair),
        [rtp(11, &[2]), rtp(12, &[3]), rtp(13, &[4])]
    );
    assert_eq!(rig.counters.publish_repaired.value(), 1);
    assert_eq!(rig.counters.publish_lost.value(), 0);
    assert_eq!(rig.send(97, 901, 77, &[], &[]), [], "a probe");
    assert_eq!(rig.send(97, 902, 77, &[], &repair), [], "a second answer");
}

/// C010: OBS sends what was asked for again as it was, under the same SSRC.
#[test]
fn a_hole_is_filled_by_the_packet_itself_where_there_is_no_rtx() {
    let mut rig = Rig::new(&[]);
    rig.video(10, &KEY);
    rig.video(12, &[3]);
    assert_eq!(rig.pass(10).0, [11]);
    assert_eq!(rig.video(11, &[2]), [rtp(11, &[2]), rtp(12, &[3])]);
    assert_eq!(rig.counters.publish_repaired.value(), 1);
}

#[test]
fn a_loss_leaves_a_hole_and_asks_for_a_key_frame() {
    let mut rig = Rig::new(&[]);
    rig.video(10, &KEY);
    rig.video(12, &DELTA);
    let (missing, keyframes, got) = rig.pass(400);
    assert_eq!(missing, [11; 5]);
    assert_eq!(got, [rtp(12, &DELTA)]);
    assert_eq!(keyframes, [1]);
    assert_eq!(rig.counters.publish_lost.value(), 1);
    let (_, keyframes, _) = rig.pass(1000);
    assert_eq!(keyframes, [1], "again while none came");
    rig.video(13, &KEY);
    assert_eq!(rig.pass(5000).1, Vec::<u32>::new());
}

#[test]
fn padding_leaves_no_hole() {
    let mut rig = Rig::new(&[]);
    rig.video(65_534, &KEY);
    assert_eq!(rig.video(65_535, &[]), []);
    assert_eq!(rig.video(1, &[]), []);
    assert_eq!(rig.video(2, &[9]), []);
    assert_eq!(rig.video(0, &[8]), [rtp(65_535, &[8]), rtp(0, &[9])]);
}

#[test]
fn the_layer_with_the_most_bits_is_taken_at_its_key_frame() {
    let mut rig = Rig::new(&["l", "h"]);
    assert_eq!(rig.layer("l", 1, 1, &DELTA), [], "nothing begins so");
    assert_eq!(rig.layer("l", 2, 1, &KEY), [rtp(2, &KEY)]);
    let mut large = vec![0x10, 0x11];
    large.resize(900, 0);
    let mut asked = Vec::new();
    for n in 0..60_u16 {
        assert_eq!(rig.layer("h", 500 + n, 2, &large), []);
        assert_eq!(rig.layer("l", 3 + n, 1, &DELTA), [rtp(3 + n, &DELTA)]);
        asked.extend(rig.pass(33).1);
    }
    assert!(
        asked.len() >= 2 && asked.iter().all(|ssrc| *ssrc == 2),
        "{asked:?}"
    );
    assert_eq!(
        rig.layer("h", 560, 2, &KEY),
        [Got::Rtcp(203), Got::Rtp(100, 560, 2, KEY.to_vec())]
    );
    assert_eq!(rig.layer("l", 63, 1, &DELTA), []);
    assert_eq!(rig.layer("x", 63, 9, &KEY), [], "no such layer");
}

#[test]
fn the_layer_wished_for_falls_to_the_next_one_and_comes_back_on_key_frames() {
    let mut rig = Rig::wishing(&["l", "h"], Some("h"));
    assert_eq!(rig.layer("l", 1, 1, &KEY), [], "not wished for");
    assert_eq!(rig.layer("h", 1, 2, &DELTA), []);
    assert_eq!(
        rig.pass(50).1,
        [2],
        "asked at once, and of this layer alone"
    );
    let got = |ssrc, seq, payload: &[u8]| Got::Rtp(100, seq, ssrc, payload.to_vec());
    assert_eq!(rig.layer("h", 2, 2, &KEY), [got(2, 2, &KEY)]);
    // The top layer is dropped.
    let mut asked = Vec::new();
    for n in 0..80_u16 {
        assert_eq!(rig.layer("l", 2 + n, 1, &DELTA), []);
        asked.extend(rig.pass(33).1);
    }
    assert!(asked.contains(&1) && !asked.contains(&2), "{asked:?}");
    assert!(asked.len() <= 2, "{asked:?}");
    let switched = [Got::Rtcp(203), got(1, 82, &KEY)];
    assert_eq!(rig.layer("l", 82, 1, &KEY), switched);
    // And is there again.
    let mut asked = Vec::new();
    for n in 0..40_u16 {
        assert_eq!(rig.layer("h", 3 + n, 2, &DELTA), []);
        assert_eq!(rig.layer("l", 83 + n, 1, &DELTA), [got(1, 83 + n, &DELTA)]);
        asked.extend(rig.pass(33).1);
    }
    assert!(
        !asked.is_empty() && asked.iter().all(|ssrc| *ssrc == 2),
        "{asked:?}"
    );
    assert_eq!(
        rig.layer("h", 43, 2, &KEY),
        [Got::Rtcp(203), got(2, 43, &KEY)]
    );
    let layers: Vec<_> = rig.intake.layers().map(|it| (it.0, it.2)).collect();
    assert_eq!(layers, [("l", false), ("h", true)]);
}

#[test]
fn a_wish_for_a_layer_that_is_not_there_is_the_best_one() {
    let mut rig = Rig::wishing(&["l", "h"], Some("x"));
    assert_eq!(rig.layer("l", 1, 1, &KEY), [rtp(1, &KEY)]);
}

#[test]
fn a_sender_may_change_its_ssrc_but_not_use_two_at_once() {
    let mut rig = Rig::new(&[]);
    rig.video(1, &KEY);
    assert_eq!(rig.send(96, 7, 5, &[], &KEY), []);
    rig.pass(200);
    assert_eq!(
        rig.send(96, 8, 5, &[], &KEY),
        [Got::Rtcp(203), Got::Rtp(100, 8, 5, KEY.to_vec())]
    );
}

#[test]
fn a_new_ssrc_is_asked_for_a_key_frame_unless_it_begins_with_one() {
    for begins in [&DELTA[..], &KEY] {
        let mut rig = Rig::new(&[]);
        rig.video(10, &KEY);
        rig.pass(300);
        assert_eq!(rig.send(96, 500, 2, &[], begins).len(), 2);
        let (_, asked, _) = rig.pass(600);
        let wanted = begins == DELTA;
        assert_eq!(asked.contains(&2), wanted, "{asked:?}");
    }
}

#[test]
fn reports_of_forwarded_sources_go_on_and_a_goodbye_of_all_ends_it() {
    let mut rig = Rig::new(&[]);
    rig.video(1, &KEY);
    rig.send(111, 1, 2, &[], &[0xfc]);
    let report = |ssrc| rtcp::SenderReport {
        ssrc,
        ntp: 1 << 40,
        rtp: 5,
        packets: 1,
        octets: 1,
    };
    rig.intake.sender_report(&report(1), rig.now, &mut rig.out);
    rig.intake.sender_report(&report(9), rig.now, &mut rig.out);
    assert_eq!(rig.got(), [Got::Rtcp(200)]);
    assert_eq!(rig.intake.report(rig.now).len(), 2);
    assert!(!rig.intake.bye(1) && !rig.intake.bye(9) && rig.intake.bye(2));
}
