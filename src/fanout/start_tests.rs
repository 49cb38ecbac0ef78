//! What a start remembers.

use super::*;
use crate::rtp::codec::Codec;
use crate::stream::PacketSpan;

fn batch(first_seq: u64, keyframe: bool) -> FrameBatch {
    let span = PacketSpan {
        offset: 0,
        len: 1,
        marker: true,
    };
    FrameBatch {
        media: Media::Video,
        codec: Codec::H264,
        first_seq,
        timestamp: 0,
        keyframe,
        closed_at: Instant::now(),
        payload: vec![0].into(),
        packets: vec![span].into(),
    }
}

#[test]
fn who_has_caught_up_takes_no_frame_twice() {
    let mut start = Start::default();
    assert_eq!(start.turn(&batch(5, false)), Turn::Live);
    start.catch_up = Some(CatchUp::between_frames(3));
    assert_eq!(start.turn(&batch(6, false)), Turn::No);
    start.live(7);
    assert_eq!(
        start.turn(&batch(6, false)),
        Turn::No,
        "sent while catching up"
    );
    assert_eq!(start.turn(&batch(7, false)), Turn::Live);
}

#[test]
fn a_key_frame_makes_live_but_not_within_a_frame_and_not_an_old_one() {
    let mut start = Start::default();
    let mut within = CatchUp::between_frames(10);
    within.between_frames = false;
    start.catch_up = Some(within);
    assert_eq!(start.turn(&batch(20, true)), Turn::No);
    start.catch_up = Some(CatchUp::between_frames(21));
    assert_eq!(
        start.turn(&batch(20, true)),
        Turn::No,
        "it had that one already"
    );
    start.catch_up = Some(CatchUp::between_frames(10));
    assert_eq!(start.turn(&batch(30, true)), Turn::Anew);
    assert_eq!(start.turn(&batch(31, false)), Turn::Live);
}

#[test]
fn wishes_for_a_key_frame_are_answered_ever_more_rarely_and_forgotten_after_a_while() {
    let start_at = Instant::now();
    let mut start = Start::default();
    // One wish every 100 ms for five minutes.
    let answered: Vec<u64> = (0..3000)
        .map(|tenth| tenth * 100)
        .filter(|ms| start.answers(start_at + Duration::from_millis(*ms)))
        .collect();
    assert_eq!(answered[..6], [0, 2000, 6000, 14_000, 30_000, 62_000]);
    assert_eq!(answered[6] - answered[5], 32_000);
    let late = start_at + Duration::from_secs(300) + ANSWER_FORGOTTEN;
    assert!(start.answers(late));
    assert!(start.answers(late + ANSWER_AGAIN));
}
