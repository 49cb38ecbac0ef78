//! Payloads as FFmpeg 5.1.9 sends them, and what is none.

use super::*;

/// From libx264 by FFmpeg: STAP-A with SPS (42c014), PPS and the head of the SEI.
const STAP: &[u8] = &[
    0x18, 0, 0x16, 0x67, 0x42, 0xc0, 0x14, 0xda, 0x05, 0x07, 0xec, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0,
    0, 0x0c, 0xa3, 0xc5, 0x0a, 0xa8, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 4, 6, 5, 0xff, 0xff,
];

#[test]
fn a_stap_a_gives_the_parameter_sets_and_the_profile() {
    let facts = inspect(STAP).unwrap();
    assert!(facts.sequence_header && facts.picture_header && !facts.picture_start);
    assert_eq!(facts.profile_level_id, Some([0x42, 0xc0, 0x14]));
    assert_eq!(
        whole_units(STAP).map(|unit| unit[0]).collect::<Vec<_>>(),
        [0x67, 0x68, 6]
    );
}

#[test]
fn an_sps_gives_its_size() {
    let sps = Sps::parse(&STAP[4..25]).unwrap();
    assert_eq!((sps.width_mbs * 16, sps.height_map_units * 16), (320, 240));
    // High profile, from libx264 -preset medium.
    let high = [
        0x64, 0, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0x20,
    ];
    assert_eq!(Sps::parse(&high).unwrap().width_mbs, 20);
}

#[test]
fn an_idr_in_fragments_starts_a_key_frame_once() {
    let start = inspect(&[0x7c, 0x85, 0x88, 0x84]).unwrap();
    assert!(start.keyframe_start && start.picture_start);
    assert_eq!((start.continues, start.unfinished), (None, Some(5)));
    let middle = inspect(&[0x7c, 0x05, 0x20]).unwrap();
    assert!(!middle.keyframe_start && !middle.picture_start);
    assert_eq!((middle.continues, middle.unfinished), (Some(5), Some(5)));
    let end = inspect(&[0x7c, 0x45, 0x6f]).unwrap();
    assert_eq!((end.continues, end.unfinished), (Some(5), None));
}

#[test]
fn a_slice_tells_whether_it_is_intra() {
    // first_mb 0 = '1', slice_type 7 = '0001000'
    assert!(inspect(&[0x41, 0b1000_1000, 0]).unwrap().intra_start);
    // slice_type 5 (P) = '00110'
    assert!(!inspect(&[0x41, 0b1001_1000, 0]).unwrap().intra_start);
}

#[test]
fn an_sps_in_fragments_gives_the_profile() {
    let mut start = vec![0x7c, 0x87];
    start.extend_from_slice(&STAP[4..25]);
    let facts = inspect(&start).unwrap();
    assert_eq!(facts.profile_level_id, Some([0x42, 0xc0, 0x14]));
}

#[test]
fn other_codecs_are_refused() {
    // HEVC by FFmpeg: FU, single slices, the AP of VPS, SPS, PPS.
    for hevc in [
        &[0x62, 0x01, 0x94, 0xac, 0x74][..],
        &[0x00, 0x01, 0xe0, 0x24, 0xfd],
        &[0x02, 0x01, 0xd0, 0x09],
        &[0x60, 0x01, 0, 0x18, 0x40, 0x01],
    ] {
        assert!(inspect(hevc).is_err(), "{hevc:02x?}");
    }
    // MPEG-4 part 2 and MPEG-2 start with start codes or headers of zeros; VP8 with a set top bit.
    assert!(inspect(&[0, 0, 1, 0xb3, 0, 0x10]).is_err());
    assert!(inspect(&[0, 0, 0x31, 0, 0, 0, 1, 0xb3]).is_err());
    assert!(inspect(&[0x90, 0x80, 0x80, 0, 0x70, 0x9d]).is_err());
}

#[test]
fn broken_framing_is_refused() {
    for broken in [
        &[][..],
        &[0x18],
        &[0x18, 0],
        &[0x18, 0, 5, 0x67],
        &[0x18, 0, 0, 0x67],
        &[0x18, 0, 1, 0x18],
        &[0x7c],
        &[0x7c, 0x85],
        &[0x7c, 0xc5, 1], // start and end in one
        &[0x7c, 0xa5, 1], // the reserved bit
        &[0x7c, 0x9c, 1], // FU-A in FU-A
        &[0x65],
        &[0x67, 0xff, 0xff, 0xff, 0xff],
        &[0xe5, 1, 2],
        &[0x19, 1, 2],
    ] {
        assert!(inspect(broken).is_err(), "{broken:02x?}");
    }
}
