//! What a stream sent last: the video since its last key frame (instant start) and every packet of the last seconds
//! (repair). One set of shared batches serves both; nothing is copied.
//!
//! Filled as a batch is delivered, before any viewer gets it: whoever has read up to the end here has missed nothing.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::FrameBatch;
use crate::rtp::Media;

/// How long packets can be repaired. Players ask within a few round trips, but first of all when a link comes back that
/// was gone for seconds; late audio is of no use to anyone.
const REPAIR_TIME: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(1)];
/// Bytes kept for repair at most, beside the pictures since the last key frame.
const REPAIR_BYTES: [usize; 2] = [4 << 20, 256 << 10];
/// What a batch costs beside its payload, and a packet beside its bytes.
const BATCH_COST: usize = 160;
const PACKET_COST: usize = 8;
/// A stream that sent nothing for this long has no picture to start with.
const STALE: Duration = Duration::from_secs(3);

/// Bounds of the pictures kept since the last key frame; where either is zero, none are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest, bytes.
    pub bytes: usize,
    /// Longest.
    pub time: Duration,
}

/// What a reader of the history finds at a sequence number.
#[derive(Debug)]
pub enum Next {
    /// The batch that holds the packet, or the first one behind the hole it fell into.
    Batch(Arc<FrameBatch>),
    /// It has not come yet.
    End,
    /// It is not kept any more.
    Gone,
}

/// The batches a stream keeps. Shared by its ingest, which fills it, and the shards, which read it.
#[derive(Debug)]
pub struct History {
    limits: Limits,
    kept: [Mutex<Kept>; 2],
}

/// The batches of one medium, in the order of their sequence numbers.
#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Arc<FrameBatch>>,
    bytes: usize,
    gop: Option<Gop>,
}

/// The last key frame and what it has cost so far with all that followed.
#[derive(Debug, Clone, Copy)]
struct Gop {
    first_seq: u64,
    since: Instant,
    bytes: usize,
}

impl History {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Default::default(),
        }
    }

    /// Keeps a batch, and lets go of what is too old.
    pub fn keep(&self, batch: &Arc<FrameBatch>) {
        let media = batch.media as usize;
        let mut kept = self.lock(batch.media);
        kept.push(batch, self.limits);
        kept.trim(batch.closed_at, REPAIR_TIME[media], REPAIR_BYTES[media]);
    }

    /// The sequence number of the last video key frame, where all that followed it is here and no more than the limits
    /// allow.
    #[must_use]
    pub fn gop_start(&self, now: Instant) -> Option<u64> {
        let kept = self.lock(Media::Video);
        let gop = kept.gop?;
        let newest = kept.batches.back()?.closed_at;
        let age = |at: Instant| now.saturating_duration_since(at);
        (age(gop.since) <= self.limits.time && age(newest) <= STALE).then_some(gop.first_seq)
    }

    /// The last batch of this medium.
    #[must_use]
    pub fn newest(&self, media: Media) -> Option<Arc<FrameBatch>> {
        self.lock(media).batches.back().cloned()
    }

    /// Where the next batch of this medium will begin; None before the first.
    #[must_use]
    pub fn end(&self, media: Media) -> Option<u64> {
        self.lock(media).batches.back().map(|last| end_of(last))
    }

    /// What comes at packet `seq`.
    #[must_use]
    pub fn next(&self, media: Media, seq: u64) -> Next {
        let kept = self.lock(media);
        match (kept.batches.front(), kept.batches.get(kept.position(seq))) {
            // A number that falls into a hole between two batches goes on behind it; one before the first is gone.
            (Some(oldest), Some(_)) if seq < oldest.first_seq => Next::Gone,
            (_, Some(batch)) => Next::Batch(Arc::clone(batch)),
            (_, None) => Next::End,
        }
    }

    /// How many batches begin with these packets.
    #[must_use]
    pub fn batches(&self, media: Media, packets: Range<u64>) -> u64 {
        let kept = self.lock(media);
        let first = |batch: &&Arc<FrameBatch>| packets.contains(&batch.first_seq);
        kept.batches.iter().filter(first).count() as u64
    }

    /// The batch that holds exactly this packet.
    #[must_use]
    pub fn holding(&self, media: Media, seq: u64) -> Option<Arc<FrameBatch>> {
        match self.next(media, seq) {
            Next::Batch(batch) if batch.first_seq <= seq => Some(batch),
            _ => None,
        }
    }

    fn lock(&self, media: Media) -> std::sync::MutexGuard<'_, Kept> {
        self.kept[media as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, batch: &Arc<FrameBatch>, limits: Limits) {
        let cost = cost(batch);
        // A large key frame comes as several batches; only its first is a beginning.
        let goes_on = self.batches.back().is_some_and(|last| {
            last.timestamp == batch.timestamp && end_of(last) == batch.first_seq
        });
        if batch.keyframe && !goes_on {
            self.gop = Some(Gop {
                first_seq: batch.first_seq,
                since: batch.closed_at,
                bytes: 0,
            });
        }
        if let Some(gop) = &mut self.gop {
            gop.bytes += cost;
            let age = batch.closed_at.saturating_duration_since(gop.since);
            if gop.bytes > limits.bytes || age > limits.time {
                // Half of it would show nothing: none, until the next key frame.
                self.gop = None;
            }
        }
        self.bytes += cost;
        self.batches.push_back(Arc::clone(batch));
    }

    fn trim(&mut self, now: Instant, time: Duration, bytes: usize) {
        while self.batches.len() > 1 {
            let front = &self.batches[0];
            let needed = self.gop.is_some_and(|gop| gop.first_seq <= front.first_seq);
            let young = now.saturating_duration_since(front.closed_at) <= time;
            if needed || (young && self.bytes <= bytes) {
                return;
            }
            self.bytes -= cost(front);
            self.batches.pop_front();
        }
    }

    /// Where the first batch stands that ends behind `seq`.
    fn position(&self, seq: u64) -> usize {
        self.batches.partition_point(|batch| end_of(batch) <= seq)
    }
}

fn cost(batch: &FrameBatch) -> usize {
    batch.payload.len() + batch.packets.len() * PACKET_COST + BATCH_COST
}

fn end_of(batch: &FrameBatch) -> u64 {
    batch.first_seq + batch.packets.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::codec::Codec;
    use crate::stream::PacketSpan;

    const LIMITS: Limits = Limits {
        bytes: 1 << 20,
        time: Duration::from_secs(12),
    };

    /// What feeds a history: 25 frames a second of three packets and 3000 bytes.
    struct Feeder {
        history: History,
        start: Instant,
        now: Instant,
        next: u64,
    }

    impl Feeder {
        fn new(limits: Limits) -> Self {
            let start = Instant::now();
            Self {
                history: History::new(limits),
                start,
                now: start,
                next: 100,
            }
        }

        fn batch(&mut self, media: Media, keyframe: bool, timestamp: u32) -> u64 {
            let span = |offset| PacketSpan {
                offset,
                len: 1000,
                marker: offset == 2000,
            };
            let first_seq = self.next;
            self.next += 3;
            self.history.keep(&Arc::new(FrameBatch {
                media,
                codec: Codec::H264,
                first_seq,
                timestamp,
                keyframe,
                closed_at: self.now,
                payload: vec![0; 3000].into(),
                packets: [0, 1000, 2000].map(span).into(),
            }));
            first_seq
        }

        fn frames(&mut self, count: u32) {
            for _ in 0..count {
                self.now += Duration::from_millis(40);
                self.batch(Media::Video, false, self.next as u32);
            }
        }

        fn keyframe(&mut self) -> u64 {
            self.now += Duration::from_millis(40);
            self.batch(Media::Video, true, self.next as u32)
        }

        fn held(&self) -> (usize, usize) {
            let kept = self.history.lock(Media::Video);
            (kept.batches.len(), kept.bytes)
        }
    }

    #[test]
    fn a_reader_goes_from_the_last_key_frame_to_the_end_without_a_gap() {
        let mut feeder = Feeder::new(LIMITS);
        assert_eq!(feeder.history.gop_start(feeder.now), None);
        assert!(matches!(feeder.history.next(Media::Video, 0), Next::End));
        feeder.frames(5);
        assert_eq!(
            feeder.history.gop_start(feeder.now),
            None,
            "no key frame yet"
        );
        feeder.keyframe();
        feeder.frames(10);
        let last = feeder.keyframe();
        feeder.frames(30);
        let mut at = feeder.history.gop_start(feeder.now).unwrap();
        assert_eq!(at, last);
        let mut read = 0;
        while let Next::Batch(batch) = feeder.history.next(Media::Video, at) {
            assert_eq!(batch.first_seq, at);
            at += batch.packets.len() as u64;
            read += 1;
        }
        assert_eq!(read, 31);
        assert_eq!(feeder.history.end(Media::Video), Some(at));
        assert!(matches!(feeder.history.next(Media::Video, at), Next::End));
    }

    #[test]
    fn a_hole_is_passed_and_what_was_let_go_is_gone() {
        let mut feeder = Feeder::new(LIMITS);
        let first = feeder.keyframe();
        feeder.next += 7;
        let behind = feeder.keyframe();
        let Next::Batch(batch) = feeder.history.next(Media::Video, first + 5) else {
            panic!("it goes on behind the hole");
        };
        assert_eq!(batch.first_seq, behind);
        assert!(feeder.history.holding(Media::Video, first + 5).is_none());
        let held = feeder.history.holding(Media::Video, behind + 2).unwrap();
        assert_eq!(held.first_seq, behind);
        assert!(matches!(
            feeder.history.next(Media::Video, first - 1),
            Next::Gone
        ));
        assert!(feeder.history.holding(Media::Audio, first).is_none());
    }

    #[test]
    fn a_gop_over_the_limits_is_kept_for_nobody_until_the_next_key_frame() {
        for limits in [
            Limits {
                bytes: 60_000,
                ..LIMITS
            },
            Limits {
                time: Duration::from_millis(700),
                ..LIMITS
            },
        ] {
            let mut feeder = Feeder::new(limits);
            feeder.keyframe();
            feeder.frames(10);
            assert!(feeder.history.gop_start(feeder.now).is_some());
            feeder.frames(10);
            assert_eq!(feeder.history.gop_start(feeder.now), None, "{limits:?}");
            let next = feeder.keyframe();
            assert_eq!(feeder.history.gop_start(feeder.now), Some(next));
        }
    }

    #[test]
    fn a_large_key_frame_in_several_batches_begins_with_its_first() {
        let mut feeder = Feeder::new(LIMITS);
        let first = feeder.batch(Media::Video, true, 77);
        feeder.batch(Media::Video, true, 77);
        assert_eq!(feeder.history.gop_start(feeder.now), Some(first));
    }

    #[test]
    fn nothing_old_is_shown_of_a_stream_that_fell_silent() {
        let mut feeder = Feeder::new(LIMITS);
        feeder.keyframe();
        assert!(feeder.history.gop_start(feeder.now + STALE).is_some());
        let later = feeder.now + STALE + Duration::from_millis(1);
        assert_eq!(feeder.history.gop_start(later), None);
    }

    #[test]
    fn packets_can_be_repaired_for_a_while_with_and_without_a_cache_and_memory_is_bounded() {
        let off = Limits {
            bytes: 0,
            time: Duration::ZERO,
        };
        for limits in [off, LIMITS] {
            let mut feeder = Feeder::new(limits);
            for _ in 0..20 {
                feeder.keyframe();
                feeder.frames(24);
            }
            assert!(feeder.now - feeder.start > REPAIR_TIME[0] * 3);
            let (batches, bytes) = feeder.held();
            assert!(
                (100..=130).contains(&batches),
                "5 s of 25 a second: {batches}"
            );
            assert!(bytes < 130 * 3200 && bytes > 100 * 3000, "{bytes}");
            let young = feeder.next - 100 * 3;
            assert!(feeder.history.holding(Media::Video, young).is_some());
            assert!(feeder.history.holding(Media::Video, 100).is_none());
            assert_eq!(
                feeder.history.gop_start(feeder.now).is_some(),
                limits == LIMITS
            );
        }
        // Without a key frame for minutes, and by bytes alone: all at one time.
        let mut feeder = Feeder::new(LIMITS);
        feeder.keyframe();
        for _ in 0..10_000 {
            feeder.batch(Media::Video, false, 1);
            feeder.batch(Media::Audio, false, 1);
        }
        assert!(feeder.held().1 <= REPAIR_BYTES[0] + 4000);
        assert!(feeder.history.lock(Media::Audio).bytes <= REPAIR_BYTES[1] + 4000);
    }
}
