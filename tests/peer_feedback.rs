//! What a viewer is told: reports, requests, goodbyes; and what it must refuse, each with its counter.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/rig/mod.rs"]
mod rig;

use std::time::{Duration, UNIX_EPOCH};

use corertc::peer::Notice;
use corertc::peer::dtls::Role;
use corertc::rtp::Media;
use corertc::rtp::rtcp::{self, ReportBlock};

use rig::stun::{Answer, Check};
use rig::wire::Weather;
use rig::{AUDIO, Frame, PWD, Rig, UFRAG, VIDEO};

const MS: Duration = Duration::from_millis(1);
const CLIENT_SSRC: u32 = 0xc11e_0001;

/// A feedback packet (RFC 4585 §6.1).
fn feedback(format: u8, kind: u8, media: u32, more: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | format, kind];
    packet.extend((2 + more.len() as u16 / 4).to_be_bytes());
    packet.extend(CLIENT_SSRC.to_be_bytes());
    packet.extend(media.to_be_bytes());
    packet.extend(more);
    packet
}

fn fir(media: u32, number: u8) -> Vec<u8> {
    let mut entry = media.to_be_bytes().to_vec();
    entry.extend([number, 0, 0, 0]);
    feedback(4, 206, 0, &entry)
}

#[test]
fn a_receiver_report_tells_loss_and_the_round_trip() {
    let mut rig = Rig::connected();
    rig.wire.weather.delay = 40 * MS;
    assert_eq!(rig.viewer.feedback().rtt(), None);
    for media in [Media::Video, Media::Audio] {
        rig.send(&Frame {
            media,
            first_seq: 1,
            timestamp: 0,
            keyframe: true,
            payloads: &[b"payload"],
        });
    }
    rig.report(UNIX_EPOCH);
    rig.run_until("a report came", 100 * MS, |rig| !rig.client.rtcp.is_empty());
    let report = rig.sender_reports()[0];
    // The client keeps it for 250 ms (DLSR: 1/65536 s), then answers; another 40 ms on the way.
    rig.run_for(250 * MS);
    let mut plain = Vec::new();
    let block = ReportBlock {
        ssrc: report.ssrc,
        fraction_lost: 64,
        lsr: rtcp::ntp_middle(report.ntp),
        dlsr: 65_536 / 4,
        ..ReportBlock::default()
    };
    rtcp::write_receiver_report(&mut plain, CLIENT_SSRC, &[block]);
    let sealed = rig.client.seal(&plain);
    rig.run_for(40 * MS);
    rig.arrive(rig.at, &sealed);
    let rtt = rig.viewer.feedback().rtt().unwrap();
    assert!(rtt.abs_diff(80 * MS) < MS, "{rtt:?}");
    assert_eq!(rig.viewer.feedback().loss_percent(), Some(25.0));
    assert_eq!(rig.notices, [Notice::Reported]);
}

#[test]
fn picture_loss_and_full_intra_requests_ask_for_a_key_frame_and_are_counted() {
    let mut rig = Rig::connected();
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, CLIENT_SSRC, VIDEO.ssrc);
    rig.say(&pli);
    assert_eq!(rig.notices, [Notice::KeyframeWanted]);
    assert_eq!(rig.counters.pli_in.value(), 1);
    // A repeated FIR is the same request (RFC 5104 §4.3.1.1), a new number another one.
    for number in [1, 1, 2] {
        rig.say(&fir(VIDEO.ssrc, number));
    }
    assert_eq!(rig.notices.len(), 3);
    assert_eq!(rig.counters.pli_in.value(), 3);
    // Whose picture? Not ours.
    let mut foreign = Vec::new();
    rtcp::write_pli(&mut foreign, CLIENT_SSRC, AUDIO.ssrc);
    rtcp::write_pli(&mut foreign, CLIENT_SSRC, 77);
    rig.say(&foreign);
    assert_eq!(rig.counters.pli_in.value(), 3);
}

#[test]
fn a_nack_tells_which_packets_are_missing_and_each_is_counted() {
    let mut rig = Rig::connected();
    // 500, and by the bits 501 and 516; then across the wrap.
    let pairs = [500_u16, 0b1000_0000_0000_0001, 65_535, 1];
    let pairs: Vec<u8> = pairs.iter().flat_map(|word| word.to_be_bytes()).collect();
    rig.say(&feedback(1, 205, VIDEO.ssrc, &pairs));
    let missing = vec![500, 501, 516, 65_535, 0];
    assert_eq!(rig.notices, [Notice::Missing(Media::Video, missing)]);
    assert_eq!(rig.counters.nack_in.value(), 5);
    rig.say(&feedback(1, 205, AUDIO.ssrc, &[0, 9, 0, 0]));
    assert_eq!(rig.notices[1], Notice::Missing(Media::Audio, vec![9]));
    assert_eq!(rig.counters.nack_in.value(), 6);
}

#[test]
fn a_bye_is_told_to_the_session() {
    let mut rig = Rig::connected();
    let mut bye = Vec::new();
    rtcp::write_receiver_report(&mut bye, CLIENT_SSRC, &[]);
    rtcp::write_bye(&mut bye, &[CLIENT_SSRC]);
    rig.say(&bye);
    assert_eq!(rig.notices, [Notice::Left]);
}

#[test]
fn replayed_and_forged_srtcp_is_refused_and_does_nothing() {
    let mut rig = Rig::connected();
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, CLIENT_SSRC, VIDEO.ssrc);
    let sealed = rig.say(&pli);
    rig.arrive(rig.at, &sealed);
    assert_eq!(rig.counters.srtp_rejected.value(), 1);
    let fresh = rig.client.seal(&pli);
    for at in 0..fresh.len() {
        let mut forged = fresh.clone();
        forged[at] ^= 1;
        rig.arrive(rig.at, &forged);
    }
    for len in 0..fresh.len() {
        rig.arrive(rig.at, &fresh[..len]);
    }
    assert_eq!(rig.counters.pli_in.value(), 1);
    assert_eq!(rig.notices.len(), 1);
    let heard = rig.viewer.heard();
    assert_eq!(heard, rig.now);
    // Untouched it still counts: no forgery used its index up.
    rig.arrive(rig.at, &fresh);
    assert_eq!(rig.counters.pli_in.value(), 2);
}

#[test]
fn rtcp_that_is_authentic_but_malformed_is_counted_and_what_stands_before_the_fault_holds() {
    let mut rig = Rig::connected();
    let mut packet = Vec::new();
    rtcp::write_pli(&mut packet, CLIENT_SSRC, VIDEO.ssrc);
    // A receiver report that announces 31 blocks and has none.
    packet.extend([0x9f, 201, 0, 1, 0, 0, 0, 1]);
    rig.say(&packet);
    assert_eq!(rig.counters.rtcp_malformed.value(), 1);
    assert_eq!(rig.counters.pli_in.value(), 1);
    assert_eq!(rig.counters.srtp_rejected.value(), 0);
}

#[test]
fn random_authentic_rtcp_harms_nothing() {
    let mut rig = Rig::connected();
    for round in 0..3_000 {
        let len = 8 + rig.wire.draw(80) as usize;
        let mut plain: Vec<u8> = (0..len).map(|_| rig.wire.draw(256) as u8).collect();
        // Mostly something that looks like RTCP of a kind we read.
        plain[0] = 0x80 | (round % 32) as u8;
        plain[1] = 200 + (round % 7) as u8;
        plain[2] = 0;
        // SRTCP has windows for 16 sources of a peer.
        plain[4..8].copy_from_slice(&CLIENT_SSRC.to_be_bytes());
        rig.say(&plain);
    }
    assert_eq!(rig.counters.srtp_rejected.value(), 0);
    let malformed = rig.counters.rtcp_malformed.value();
    assert!((100..3_000).contains(&malformed), "{malformed}");
    assert!(rig.viewer.media_path().is_some());
}

#[test]
fn media_and_bytes_of_no_protocol_are_counted_and_change_nothing() {
    let mut rig = Rig::connected();
    let media = rig.client.seal_media();
    rig.arrive(rig.at, &media);
    assert_eq!(rig.counters.srtp_rejected.value(), 1);
    for garbage in [&[][..], &[0; 20], &[5, 1, 2], &[64; 100], &[255; 1200]] {
        rig.arrive(rig.at, garbage);
    }
    assert_eq!(rig.counters.datagrams_unknown.value(), 5);
    let long = vec![0x81, 201].into_iter().chain([0; 1800]);
    rig.arrive(rig.at, &long.collect::<Vec<u8>>());
    assert_eq!(rig.counters.srtp_rejected.value(), 2);
}

/// The rig before any check, and a check to make wrong.
fn unchecked() -> (Rig, Check<'static>) {
    let rig = Rig::new(Role::Client, Weather::FAIR, 1);
    let check = Check {
        id: [9; 12],
        ufrags: (UFRAG, "client"),
        pwd: PWD,
        controlled: false,
        nominates: true,
        more: &[],
    };
    (rig, check)
}

#[test]
fn a_check_with_a_wrong_password_or_a_changed_byte_is_refused_and_not_answered() {
    let (mut rig, check) = unchecked();
    let wrong = Check {
        pwd: "another",
        ..check.clone()
    };
    rig.arrive(rig.at, &wrong.write());
    assert_eq!(rig.counters.stun_rejected.value(), 1);
    let right = check.write();
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 1;
        rig.arrive(rig.at, &changed);
    }
    for len in 20..right.len() {
        rig.arrive(rig.at, &right[..len]);
    }
    assert!(rig.sent_to.is_empty());
    assert!(rig.viewer.paths().next().is_none());
    assert!(rig.out.learnt.is_empty());
    let refused = rig.counters.stun_rejected.value() + rig.counters.datagrams_unknown.value();
    assert_eq!(refused, 1 + (2 * right.len() - 20) as u64);
}

#[test]
fn an_unknown_attribute_that_must_be_understood_is_answered_420_by_name() {
    let (mut rig, check) = unchecked();
    let check = Check {
        more: &[(0x7ffe, b"what?"), (0xc001, b"optional")],
        ..check
    };
    rig.arrive(rig.at, &check.write());
    rig.run_until("answered", 50 * MS, |rig| !rig.client.answers.is_empty());
    let expected = Answer::Error {
        id: [9; 12],
        code: 420,
        unknown: vec![0x7ffe],
    };
    assert_eq!(rig.client.answers[0], expected);
    assert_eq!(rig.counters.stun_rejected.value(), 0);
}

#[test]
fn one_who_claims_to_be_controlled_is_told_of_the_role_conflict() {
    let (mut rig, check) = unchecked();
    let check = Check {
        controlled: true,
        nominates: true,
        ..check
    };
    rig.arrive(rig.at, &check.write());
    rig.run_until("answered", 50 * MS, |rig| !rig.client.answers.is_empty());
    let Answer::Error { id, code, .. } = rig.client.answers[0] else {
        panic!("{:?}", rig.client.answers);
    };
    assert_eq!((id, code), ([9; 12], 487));
}

#[test]
fn only_what_authenticates_keeps_a_viewer_alive() {
    let mut rig = Rig::connected();
    rig.run_for(1_000 * MS);
    let heard = rig.viewer.heard();
    rig.now += 10 * MS;
    let media = rig.client.seal_media();
    for bytes in [&media[..], &[22; 60], &[0x81, 201, 0, 1, 0, 0, 0, 1], &[]] {
        rig.arrive(rig.at, bytes);
    }
    assert_eq!(rig.viewer.heard(), heard);
    let mut report = Vec::new();
    rtcp::write_receiver_report(&mut report, CLIENT_SSRC, &[]);
    rig.say(&report);
    assert_eq!(rig.viewer.heard(), rig.now);
}
