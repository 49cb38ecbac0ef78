//! RTCP against another implementation, and against garbage.

use proptest::prelude::*;
use rtc_rtcp::Packet;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::{marshal, unmarshal};
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::source_description::{SdesType, SourceDescription};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

use super::*;

fn block(i: u32) -> ReportBlock {
    ReportBlock {
        ssrc: i,
        fraction_lost: 25,
        cumulative_lost: 1000 + i as i32,
        highest_seq: 0x1_0002,
        jitter: 90,
        lsr: 0xb705_2000,
        dlsr: 0x0005_4000,
    }
}

fn theirs(block: &ReportBlock) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.ssrc,
        fraction_lost: block.fraction_lost,
        total_lost: block.cumulative_lost as u32 & 0xff_ffff,
        last_sequence_number: block.highest_seq,
        jitter: block.jitter,
        last_sender_report: block.lsr,
        delay: block.dlsr,
    }
}

fn items(datagram: &[u8]) -> Vec<Item<'_>> {
    parse(datagram).map(Result::unwrap).collect()
}

fn by_other(packet: impl Packet + 'static) -> Vec<u8> {
    marshal(&[Box::new(packet)]).unwrap().to_vec()
}

#[test]
fn a_compound_report_of_ours_is_read_by_both() {
    let mut out = Vec::new();
    write_sender_report(&mut out, 1, 0x0102_0304_0506_0708, 90_000, 7, 8000);
    write_sdes_cname(&mut out, 1, "viewer");
    write_receiver_report(&mut out, 1, &[block(5), block(6)]);
    write_bye(&mut out, &[1, 2]);

    let sender_report = SenderReport {
        ssrc: 1,
        ntp: 0x0102_0304_0506_0708,
        rtp: 90_000,
        packets: 7,
        octets: 8000,
    };
    assert_eq!(
        items(&out),
        [
            Item::SenderReport(sender_report),
            Item::ReportBlock(block(5)),
            Item::ReportBlock(block(6)),
            Item::Bye(Bye { ssrc: 1 }),
            Item::Bye(Bye { ssrc: 2 }),
        ]
    );

    let packets = unmarshal(&mut &out[..]).unwrap();
    assert_eq!(packets.len(), 4);
    let report = packets[0]
        .as_any()
        .downcast_ref::<rtc_rtcp::sender_report::SenderReport>()
        .unwrap();
    assert_eq!(
        (report.ssrc, report.ntp_time, report.rtp_time),
        (1, sender_report.ntp, 90_000)
    );
    assert_eq!((report.packet_count, report.octet_count), (7, 8000));
    let sdes = packets[1]
        .as_any()
        .downcast_ref::<SourceDescription>()
        .unwrap();
    assert_eq!(sdes.chunks[0].source, 1);
    assert_eq!(sdes.chunks[0].items[0].sdes_type, SdesType::SdesCname);
    assert_eq!(sdes.chunks[0].items[0].text, "viewer");
    let report = packets[2]
        .as_any()
        .downcast_ref::<ReceiverReport>()
        .unwrap();
    assert_eq!(report.reports, [theirs(&block(5)), theirs(&block(6))]);
    let bye = packets[3].as_any().downcast_ref::<Goodbye>().unwrap();
    assert_eq!(bye.sources, [1, 2]);
}

#[test]
fn feedback_of_reduced_size_is_read() {
    let mut pli = Vec::new();
    write_pli(&mut pli, 9, 77);
    let other = PictureLossIndication {
        sender_ssrc: 9,
        media_ssrc: 77,
    };
    assert_eq!(pli, by_other(other));
    assert_eq!(items(&pli), [Item::Pli(Pli { media_ssrc: 77 })]);

    let entry = |ssrc, sequence_number| FirEntry {
        ssrc,
        sequence_number,
    };
    let fir = by_other(FullIntraRequest {
        sender_ssrc: 9,
        media_ssrc: 0,
        fir: vec![entry(77, 3), entry(78, 4)],
    });
    let (one, two) = (
        Fir {
            ssrc: 77,
            sequence: 3,
        },
        Fir {
            ssrc: 78,
            sequence: 4,
        },
    );
    assert_eq!(items(&fir), [Item::Fir(one), Item::Fir(two)]);

    let remb = by_other(ReceiverEstimatedMaximumBitrate {
        sender_ssrc: 9,
        bitrate: 8_927_168.0,
        ssrcs: vec![77],
    });
    let bitrate_bps = 8_927_168;
    assert_eq!(items(&remb), [Item::Remb(Remb { bitrate_bps })]);
}

#[test]
fn a_remb_beyond_64_bits_is_the_largest_there_is() {
    let mut remb = vec![0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
    remb.extend(b"REMB");
    remb.extend([0, 0xff, 0xff, 0xff]);
    let bitrate_bps = u64::MAX;
    assert_eq!(items(&remb), [Item::Remb(Remb { bitrate_bps })]);
}

#[test]
fn transport_wide_feedback_is_handed_on_raw() {
    let feedback = [0x8f, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 77, 1, 2, 3, 4];
    let expected = TransportCc {
        media_ssrc: 77,
        raw: &[1, 2, 3, 4],
    };
    assert_eq!(items(&feedback), [Item::TransportCc(expected)]);
}

#[test]
fn a_negative_loss_keeps_its_sign_and_a_great_one_is_clamped() {
    for (lost, read) in [
        (-1, -1),
        (-0x80_0000, -0x80_0000),
        (i32::MAX, 0x7f_ffff),
        (i32::MIN, -0x80_0000),
    ] {
        let mut out = Vec::new();
        let lost = ReportBlock {
            cumulative_lost: lost,
            ..block(1)
        };
        write_receiver_report(&mut out, 1, &[lost]);
        let read = ReportBlock {
            cumulative_lost: read,
            ..block(1)
        };
        assert_eq!(items(&out), [Item::ReportBlock(read)]);
    }
}

#[test]
fn what_is_not_known_is_skipped_and_padding_does_not_count() {
    let mut out = vec![0x80, 204, 0, 2, 0, 0, 0, 1, b'n', b'a', b'm', b'e'];
    out.extend([0x80, 207, 0, 1, 0, 0, 0, 1]);
    out.extend([0x9f, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    out.extend([0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, b'X', 0, 0, 0]);
    // A BYE with a reason, and with four bytes of padding.
    out.extend([0xa1, 203, 0, 3, 0, 0, 0, 1, 3, b'e', b'n', b'd', 0, 0, 0, 4]);
    assert_eq!(items(&out), [Item::Bye(Bye { ssrc: 1 })]);
}

#[test]
fn malformed_packets_are_an_error_and_the_end() {
    let cases: [&[u8]; 12] = [
        &[0x80],
        &[0x80, 201, 0],
        &[0x40, 201, 0, 1, 0, 0, 0, 1],
        &[0x80, 201, 0, 2, 0, 0, 0, 1],
        &[0x81, 201, 0, 1, 0, 0, 0, 1],
        &[0x80, 200, 0, 1, 0, 0, 0, 1],
        &[0x82, 203, 0, 1, 0, 0, 0, 1],
        &[0x81, 206, 0, 1, 0, 0, 0, 1],
        &[0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xa0, 201, 0, 1, 0, 0, 0, 3],
        &[0xa0, 201, 0, 1, 0, 0, 0, 0],
        &[0xa0, 201, 0, 1, 0, 0, 0, 8],
    ];
    for datagram in cases {
        let read: Vec<_> = parse(datagram).collect();
        assert_eq!(read, [Err(RtcpError)], "{datagram:?}");
    }
    assert_eq!(parse(&[]).next(), None);
}

#[test]
fn long_lists_and_names_are_cut_where_the_wire_ends() {
    let mut out = Vec::new();
    write_bye(&mut out, &[7; 40]);
    write_receiver_report(&mut out, 1, &[block(1); 40]);
    write_sdes_cname(&mut out, 1, &"é".repeat(200));
    write_pli(&mut out, 1, 2);
    assert_eq!(items(&out).len(), 31 + 31 + 1);
    assert_eq!(unmarshal(&mut &out[..]).unwrap().len(), 4);
}

proptest! {
    #[test]
    fn nacks_of_another_implementation_are_read(mut lost in prop::collection::vec(any::<u16>(), 1..60)) {
        lost.sort_unstable();
        lost.dedup();
        let nack = by_other(TransportLayerNack {
            sender_ssrc: 9,
            media_ssrc: 77,
            nacks: nack_pairs_from_sequence_numbers(&lost),
        });
        let read = items(&nack);
        prop_assert_eq!(read.len(), 1);
        let Item::Nack(nack) = read[0] else {
            panic!("{read:?}");
        };
        prop_assert_eq!(nack.media_ssrc, 77);
        prop_assert_eq!(nack.sequences().collect::<Vec<_>>(), lost);
    }

    #[test]
    fn receiver_reports_of_another_implementation_are_read(
        fraction_lost: u8, lost in -0x80_0000..0x80_0000_i32, highest_seq: u32, jitter: u32, lsr: u32, dlsr: u32,
    ) {
        let block = ReportBlock { ssrc: 3, fraction_lost, cumulative_lost: lost, highest_seq, jitter, lsr, dlsr };
        let report = by_other(ReceiverReport { ssrc: 1, reports: vec![theirs(&block)], ..Default::default() });
        prop_assert_eq!(items(&report), [Item::ReportBlock(block)]);
        let mut ours = Vec::new();
        write_receiver_report(&mut ours, 1, &[block]);
        prop_assert_eq!(ours, report);
        let _ = block.round_trip(u64::from(dlsr) << 20);
    }

    #[test]
    fn garbage_never_panics_and_ends(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200), count: u8, kind in 200..208_u8, framed: bool,
    ) {
        if framed && bytes.len() >= 4 {
            bytes.truncate(bytes.len() / 4 * 4);
            let words = (bytes.len() / 4 - 1) as u8;
            bytes[..4].copy_from_slice(&[0x80 | (count & 0x3f), kind, 0, words]);
        }
        let mut sequences = 0;
        for item in parse(&bytes) {
            if let Ok(Item::Nack(nack)) = item {
                sequences += nack.sequences().count();
            }
        }
        prop_assert!(sequences <= bytes.len() * 17 / 4);
        prop_assert!(parse(&bytes).filter(Result::is_err).count() <= 1);
    }
}

#[test]
fn what_a_receiver_asks_for_is_read_back() {
    let lost = [65_530, 65_531, 10, 11, 200];
    let mut out = Vec::new();
    write_nack(&mut out, 1, 2, &lost);
    write_fir(&mut out, 1, 3, 7);
    for bitrate in [1, 262_143, 262_144, 1_000_000, 5_000_000_000] {
        write_remb(&mut out, 1, bitrate, &[2, 3]);
    }
    let items: Vec<_> = parse(&out).map(|item| item.unwrap()).collect();
    let Item::Nack(nack) = items[0] else {
        panic!("{:?}", items[0]);
    };
    assert_eq!(nack.media_ssrc, 2);
    assert_eq!(nack.sequences().collect::<Vec<_>>(), lost);
    let fir = Fir {
        ssrc: 3,
        sequence: 7,
    };
    assert_eq!(items[1], Item::Fir(fir));
    let estimates: Vec<u64> = items[2..]
        .iter()
        .map(|item| match item {
            Item::Remb(remb) => remb.bitrate_bps,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(estimates[..3], [1, 262_143, 262_144]);
    assert!((999_000..=1_000_000).contains(&estimates[3]));
    assert!((4_990_000_000..=5_000_000_000).contains(&estimates[4]));
}
