//! Runs of packets that the kernel can segment.

use std::time::Instant;

use super::*;
use crate::rtp::codec::Codec;
use crate::stream::PacketSpan;

fn runs_of(lengths: &[u16]) -> Vec<(usize, usize)> {
    let packets = lengths
        .iter()
        .map(|len| PacketSpan {
            offset: 0,
            len: *len,
            marker: false,
        })
        .collect();
    let batch = FrameBatch {
        media: Media::Video,
        codec: Codec::H264,
        first_seq: 0,
        timestamp: 0,
        keyframe: false,
        closed_at: Instant::now(),
        payload: Box::default(),
        packets,
    };
    let mut runs = Vec::new();
    find_runs(&mut runs, &batch, 0, lengths.len());
    runs.iter().map(|run| (run.first, run.count)).collect()
}

#[test]
fn only_the_last_packet_of_a_run_may_be_shorter() {
    assert_eq!(runs_of(&[1200, 1200, 1200, 700]), [(0, 4)]);
    assert_eq!(
        runs_of(&[10, 4, 900, 1200, 1200, 3]),
        [(0, 2), (2, 1), (3, 3)]
    );
    assert_eq!(runs_of(&[5, 6, 7]), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(runs_of(&[7, 6, 6]), [(0, 2), (2, 1)]);
    assert_eq!(runs_of(&[4095; 16]), [(0, 15), (15, 1)]);
    assert_eq!(runs_of(&[65_000; 2]), [(0, 1), (1, 1)]);
    assert_eq!(runs_of(&[7]), [(0, 1)]);
    assert_eq!(runs_of(&[]), []);
}
