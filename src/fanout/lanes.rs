//! In what order and when frames leave: one lane per stream and medium, large frames in rounds with a gap between.
//!
//! Line-rate bursts lose packets. So a frame leaves in rounds of at most [`ROUND_PACKETS`] packets to every viewer;
//! the time spent on the other viewers is the gap, and with few viewers the lane waits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rtp::Media;
use crate::stream::{FrameBatch, StreamKey};

/// Packets of one viewer that leave in one run.
pub(super) const ROUND_PACKETS: usize = 16;
/// From the beginning of one round of a frame to the next.
const ROUND_GAP: Duration = Duration::from_millis(2);
/// All gaps of a frame: a quarter of 33 ms.
const FRAME_SPREAD: Duration = Duration::from_millis(8);
/// Frames a lane holds: above that the shard can't keep up, and the newest is dropped.
const LANE_FRAMES: usize = 64;

pub(super) type LaneKey = (StreamKey, Media);

/// A piece of work: packets `first..end` of a frame, to every viewer of its stream.
pub(super) struct Round {
    pub(super) lane: LaneKey,
    pub(super) batch: Arc<FrameBatch>,
    pub(super) first: usize,
    pub(super) end: usize,
}

#[derive(Default)]
struct Lane {
    frames: VecDeque<Arc<FrameBatch>>,
    /// Packets of the front frame that have left.
    sent: usize,
    due: Option<Instant>,
}

/// All lanes of a shard.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    due: BTreeSet<(Instant, LaneKey)>,
}

impl Lanes {
    /// A frame to send; how many frames are dropped for want of room. A key frame always has room: with it everyone
    /// goes on, so what waits in front of it gives way, but for a frame that is half sent.
    pub(super) fn push(
        &mut self,
        stream: StreamKey,
        batch: Arc<FrameBatch>,
        now: Instant,
    ) -> usize {
        let key = (stream, batch.media);
        let lane = self.lanes.entry(key).or_default();
        let mut dropped = 0;
        if lane.frames.len() >= LANE_FRAMES {
            if !batch.keyframe {
                return 1;
            }
            let begun = usize::from(lane.sent > 0);
            dropped = lane.frames.len() - begun;
            lane.frames.truncate(begun);
        }
        lane.frames.push_back(batch);
        if lane.due.is_none() {
            lane.due = Some(now);
            self.due.insert((now, key));
        }
        dropped
    }

    /// The next round that is due, oldest first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Round> {
        let (due, key) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        let lane = self.lanes.get_mut(&key)?;
        let batch = lane.frames.front()?.clone();
        let first = lane.sent;
        let end = batch.packets.len().min(first + ROUND_PACKETS);
        lane.due = None;
        lane.sent = end;
        let mut next_due = now;
        if end == batch.packets.len() {
            lane.frames.pop_front();
            lane.sent = 0;
        } else if lane.frames.len() == 1 {
            let rounds = batch.packets.len().div_ceil(ROUND_PACKETS) as u32;
            next_due = now + ROUND_GAP.min(FRAME_SPREAD / rounds);
        }
        if !lane.frames.is_empty() {
            lane.due = Some(next_due);
            self.due.insert((next_due, key));
        }
        Some(Round {
            lane: key,
            batch,
            first,
            end,
        })
    }

    /// When [`Lanes::next`] has something again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Nobody plays this stream here any more.
    pub(super) fn forget(&mut self, stream: StreamKey) {
        for media in [Media::Video, Media::Audio] {
            if let Some(lane) = self.lanes.remove(&(stream, media))
                && let Some(due) = lane.due
            {
                self.due.remove(&(due, (stream, media)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::codec::Codec;
    use crate::stream::PacketSpan;

    fn frame(media: Media, packets: usize, now: Instant) -> Arc<FrameBatch> {
        let span = PacketSpan {
            offset: 0,
            len: 1,
            marker: false,
        };
        Arc::new(FrameBatch {
            media,
            codec: Codec::Vp8,
            first_seq: 0,
            timestamp: 0,
            keyframe: false,
            closed_at: now,
            payload: vec![0].into(),
            packets: vec![span; packets].into(),
        })
    }

    #[test]
    fn a_large_frame_leaves_in_rounds_with_gaps_and_audio_does_not_wait_for_it() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let stream = StreamKey(1);
        assert_eq!(lanes.push(stream, frame(Media::Video, 40, now), now), 0);
        let round = lanes.next(now).unwrap();
        assert_eq!((round.first, round.end), (0, 16));
        assert!(lanes.next(now).is_none(), "the gap");
        lanes.push(stream, frame(Media::Audio, 1, now), now);
        assert_eq!(lanes.next(now).unwrap().lane.1, Media::Audio);
        let later = lanes.next_due().unwrap();
        assert_eq!(later - now, ROUND_GAP);
        let round = lanes.next(later).unwrap();
        assert_eq!((round.first, round.end), (16, 32));
        let last = lanes.next_due().unwrap();
        assert_eq!(lanes.next(last).unwrap().end, 40);
        assert_eq!(lanes.next_due(), None);
    }

    #[test]
    fn a_frame_with_another_behind_it_does_not_dawdle() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.push(StreamKey(1), frame(Media::Video, 20, now), now);
        lanes.push(StreamKey(1), frame(Media::Video, 20, now), now);
        assert_eq!(lanes.next(now).unwrap().end, 16);
        assert_eq!(lanes.next(now).unwrap().end, 20);
    }

    #[test]
    fn a_lane_is_bounded_and_forgotten_whole() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let taken = (0..100)
            .filter(|_| lanes.push(StreamKey(1), frame(Media::Video, 1, now), now) == 0)
            .count();
        assert_eq!(taken, LANE_FRAMES);
        lanes.forget(StreamKey(1));
        assert!(lanes.next(now).is_none());
        assert_eq!(lanes.next_due(), None);
    }

    #[test]
    fn a_key_frame_clears_a_full_lane_but_for_what_is_half_sent() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.push(StreamKey(1), frame(Media::Video, 40, now), now);
        assert_eq!(lanes.next(now).unwrap().end, ROUND_PACKETS);
        while lanes.push(StreamKey(1), frame(Media::Video, 1, now), now) == 0 {}
        let mut key_frame = (*frame(Media::Video, 2, now)).clone();
        key_frame.keyframe = true;
        assert_eq!(
            lanes.push(StreamKey(1), Arc::new(key_frame), now),
            LANE_FRAMES - 1
        );
        let mut ends = Vec::new();
        while let Some(due) = lanes.next_due() {
            ends.push(lanes.next(due).unwrap().end);
        }
        assert_eq!(ends, [32, 40, 2]);
    }
}
