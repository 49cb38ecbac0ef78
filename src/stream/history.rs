//! What a stream sent last: the video since its last key frame (instant start) and every packet of the last seconds
//! (repair). One set of shared batches serves both; nothing is copied.
//!
//! Filled as a batch is delivered, before any viewer gets it: whoever has read up to the end here has missed nothing.

use std::collections::VecDeque;
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
