//! What SRTP refuses, and that what it seals it opens, for every profile.

use proptest::prelude::*;

use super::{Inbound, Keys, Outbound, Profile, SrtpError};

const PROFILES: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmHmacSha1_80,
];

fn keys(profile: Profile) -> Keys {
    Keys {
        profile,
        local_key: vec![0x11; profile.key_len()],
        local_salt: vec![0x22; profile.salt_len()],
        remote_key: vec![0x11; profile.key_len()],
        remote_salt: vec![0x22; profile.salt_len()],
    }
}

fn pair(profile: Profile) -> (Outbound, Inbound) {
    let keys = keys(profile);
    (Outbound::new(&keys).unwrap(), Inbound::new(&keys).unwrap())
}

fn header(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut header = vec![0x80, 96];
    header.extend(sequence.to_be_bytes());
    header.extend([0, 0, 0, 7]);
    header.extend(ssrc.to_be_bytes());
    header
}

fn sealed(outbound: &Outbound, ssrc: u32, index: u64) -> Vec<u8> {
    let mut out = Vec::new();
    outbound.seal_rtp(&header(ssrc, index as u16), b"media", index, &mut out);
    out
}

fn receiver_report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

#[test]
fn what_is_sealed_opens_once_and_a_replay_is_refused() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let packet = sealed(&outbound, 1, 100);
        assert_eq!(packet.len(), 12 + 5 + profile.rtp_overhead());
        let mut opened = packet.clone();
        assert_eq!(inbound.open_rtp(&mut opened), Ok(17));
        assert_eq!(&opened[12..17], b"media");
        assert_eq!(
            inbound.open_rtp(&mut packet.clone()),
            Err(SrtpError::Replay)
        );
    }
}

#[test]
fn rtcp_opens_once_and_a_replay_is_refused() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let mut packet = Vec::new();
        outbound.seal_rtcp(&receiver_report(5), &mut packet);
        assert_eq!(packet.len(), 8 + profile.rtcp_overhead());
        let mut opened = packet.clone();
        assert_eq!(inbound.open_rtcp(&mut opened), Ok(()));
        assert_eq!(opened, receiver_report(5));
        assert_eq!(inbound.open_rtcp(&mut packet), Err(SrtpError::Replay));
        let mut second = Vec::new();
        outbound.seal_rtcp(&receiver_report(5), &mut second);
        assert_eq!(inbound.open_rtcp(&mut second), Ok(()));
    }
}

#[test]
fn any_flipped_bit_is_refused_and_spends_no_index() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let packet = sealed(&outbound, 1, 100);
        // The version bits and the CSRC count change the form: skip the first byte.
        for at in 1..packet.len() {
            let mut wrong = packet.clone();
            wrong[at] ^= 0x10;
            assert!(inbound.open_rtp(&mut wrong).is_err(), "{profile:?} {at}");
        }
        assert!(inbound.open_rtp(&mut packet.clone()).is_ok());

        let mut packet = Vec::new();
        outbound.seal_rtcp(&receiver_report(5), &mut packet);
        for at in 0..packet.len() {
            let mut wrong = packet.clone();
            wrong[at] ^= 0x10;
            assert!(inbound.open_rtcp(&mut wrong).is_err(), "{profile:?} {at}");
        }
        assert_eq!(inbound.open_rtcp(&mut packet), Ok(()));
    }
}

#[test]
fn every_truncation_is_refused() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let packet = sealed(&outbound, 1, 100);
        let mut control = Vec::new();
        outbound.seal_rtcp(&receiver_report(5), &mut control);
        for len in 0..packet.len() {
            assert!(inbound.open_rtp(&mut packet[..len].to_vec()).is_err());
        }
        for len in 0..control.len() {
            assert!(inbound.open_rtcp(&mut control[..len].to_vec()).is_err());
        }
    }
}

#[test]
fn the_roll_over_counter_follows_the_sequence_both_ways() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let order = [
            0xfffe_u64, 0x1_0001, // over the wrap, one lost and one late
            0xffff, 0x1_0000, 0x1_0002, 0x1_7000, 0x1_f000, 0x2_0005, 0x1_fff0,
        ];
        for index in order {
            let result = inbound.open_rtp(&mut sealed(&outbound, 1, index));
            assert_eq!(result, Ok(17), "{profile:?} {index:#x}");
        }
    }
}

#[test]
fn a_packet_before_the_first_wrap_there_is_is_refused() {
    let (outbound, mut inbound) = pair(Profile::AeadAes128Gcm);
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 1, 3)), Ok(17));
    let early = inbound.open_rtp(&mut sealed(&outbound, 1, 0xffff));
    assert_eq!(early, Err(SrtpError::Replay));
}

#[test]
fn late_packets_pass_up_to_the_window_and_no_further() {
    let (outbound, mut inbound) = pair(Profile::AeadAes128Gcm);
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 1, 5000)), Ok(17));
    let edge = 5000 - 1023;
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 1, edge)), Ok(17));
    let beyond = inbound.open_rtp(&mut sealed(&outbound, 1, edge - 1));
    assert_eq!(beyond, Err(SrtpError::Replay));
    // After a jump over the window nothing before it is left.
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 1, 9000)), Ok(17));
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 1, 8999)), Ok(17));
    let before = inbound.open_rtp(&mut sealed(&outbound, 1, 5001));
    assert_eq!(before, Err(SrtpError::Replay));
}

#[test]
fn each_source_has_its_own_window_and_there_are_sixteen() {
    let (outbound, mut inbound) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..16 {
        assert_eq!(inbound.open_rtp(&mut sealed(&outbound, ssrc, 7)), Ok(17));
    }
    let more = inbound.open_rtp(&mut sealed(&outbound, 16, 7));
    assert_eq!(more, Err(SrtpError::Sources));
    assert_eq!(inbound.open_rtp(&mut sealed(&outbound, 3, 8)), Ok(17));
}

#[test]
fn header_extension_and_csrcs_stay_clear_and_are_authenticated() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let mut long = header(1, 9);
        long[0] |= 0x11;
        long.extend([0xaa; 4]);
        long.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        let mut packet = Vec::new();
        outbound.seal_rtp(&long, b"media", 9, &mut packet);
        assert_eq!(packet[..long.len()], long);
        let mut wrong = packet.clone();
        wrong[21] ^= 1;
        assert_eq!(inbound.open_rtp(&mut wrong), Err(SrtpError::Authentication));
        assert_eq!(inbound.open_rtp(&mut packet), Ok(long.len() + 5));
        assert_eq!(&packet[long.len()..long.len() + 5], b"media");
    }
}

#[test]
fn sealing_appends_behind_what_is_there_and_nothing_where_it_can_not() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let mut out = b"before".to_vec();
        outbound.seal_rtp(&[0x80; 11], b"media", 0, &mut out);
        outbound.seal_rtcp(&[0x80; 7], &mut out);
        outbound.seal_rtp(&header(1, 1), b"media", 1 << 48, &mut out);
        assert_eq!(out, b"before");
        assert_eq!(
            outbound.seal_rtp_into(&header(1, 1), b"media", 1, &mut [0; 26]),
            0
        );
        outbound.seal_rtp(&header(1, 1), b"", 1, &mut out);
        assert_eq!(inbound.open_rtp(&mut out[6..]), Ok(12));
        outbound.skip_to_rtcp_index((1 << 31) - 1);
        let mut last = Vec::new();
        outbound.seal_rtcp(&receiver_report(5), &mut last);
        let last_len = last.len();
        outbound.seal_rtcp(&receiver_report(5), &mut last);
        assert_eq!(last.len(), last_len, "an index came twice");
        assert_eq!(inbound.open_rtcp(&mut last), Ok(()));
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    for profile in PROFILES {
        let mut short = keys(profile);
        short.local_key.pop();
        short.remote_salt.pop();
        assert_eq!(Outbound::new(&short).err(), Some(SrtpError::Keys));
        assert_eq!(Inbound::new(&short).err(), Some(SrtpError::Keys));
    }
}

#[test]
fn a_viewer_is_small_and_may_change_threads() {
    fn send<T: Send>() {}
    send::<Outbound>();
    send::<Inbound>();
    assert!(size_of::<Outbound>() <= 112, "{}", size_of::<Outbound>());
    assert!(size_of::<Inbound>() <= 144, "{}", size_of::<Inbound>());
}

proptest! {
    #[test]
    fn every_profile_opens_what_it_seals(
        which in 0..3_usize, ssrc: u32, roc in 0..3_u64, sequence: u16,
        payload in prop::collection::vec(any::<u8>(), 0..1500),
        report in prop::collection::vec(any::<u8>(), 8..200),
    ) {
        let (mut outbound, mut inbound) = pair(PROFILES[which]);
        // Walk to the roll-over counter as a receiver does.
        for step in 1..=roc * 4 {
            let index = step * 0x4000;
            prop_assert_eq!(inbound.open_rtp(&mut sealed(&outbound, ssrc, index)), Ok(17));
        }
        let index = roc * 0x1_0000 + u64::from(sequence / 4) + 1;
        let head = header(ssrc, index as u16);
        let mut packet = Vec::new();
        outbound.seal_rtp(&head, &payload, index, &mut packet);
        prop_assert_eq!(inbound.open_rtp(&mut packet), Ok(12 + payload.len()));
        prop_assert_eq!(&packet[12..12 + payload.len()], &payload[..]);

        let mut control = Vec::new();
        outbound.seal_rtcp(&report, &mut control);
        prop_assert_eq!(inbound.open_rtcp(&mut control), Ok(()));
        prop_assert_eq!(control, report);
    }

    #[test]
    fn garbage_never_panics_and_never_opens(
        which in 0..3_usize, mut bytes in prop::collection::vec(any::<u8>(), 0..200), looks_right: bool,
    ) {
        if looks_right && let Some(first) = bytes.first_mut() {
            *first = 0x80 | (*first & 0x3f);
        }
        let (mut outbound, mut inbound) = pair(PROFILES[which]);
        prop_assert!(inbound.open_rtp(&mut bytes.clone()).is_err());
        prop_assert!(inbound.open_rtcp(&mut bytes.clone()).is_err());
        let mut out = Vec::new();
        outbound.seal_rtcp(&bytes, &mut out);
        outbound.seal_rtp(&bytes, &bytes, u64::MAX, &mut out);
    }
}
