//! A link narrower than the stream. What a viewer reports says how much gets through; from then on its video leaves no
//! faster than that, read from the stream's history as when it catches up, and where a key frame comes before it got
//! there, the frames between are left out. Audio leaves with everyone's. Sequence numbers go on without a gap: nothing is
//! asked for again.
//!
//! Two things say that a link is full: loss ([`super::losses`]), and round trips that grow by as much as is sent too fast
//! ([`super::queueing`]). From then on [`super::narrow`] finds what it carries.

use std::time::{Duration, Instant};

use super::joining::time_of;
use super::lanes::ROUND_PACKETS;
use super::looks::{Look, Looks, Seen};
use super::losses::Losses;
use super::narrow::{CUT_MOST, HOLD, HOLD_MAX, LINK_MIN_BPS, Narrow, USED, WIDE};

#[cfg(test)]
#[path = "thinning_tests.rs"]
mod tests;

/// An estimate this far below what is sent, so many times in a row, says that packets queue up somewhere, if loss or round
/// trips hint at it too.
const REMB_BAD: f64 = 0.7;
const REMB_TIMES: u8 = 4;
const VIDEO_MIN_BPS: u64 = 50_000;
/// A viewer's first time, in which most narrow links are found.
const YOUNG: Duration = Duration::from_secs(10);
/// What leaves at once: 20 ms of the link.
const CHUNKS_PER_SECOND: u64 = 50;
const CHUNK_PACKET: u64 = 1200;
/// Where a link may be narrow, repairs may take one part of so many of the stream; where it is, they go before new video.
const REPAIR_SHARE: u64 = 2;

/// What is known of one viewer's link.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    begun: Option<Instant>,
    pub(super) looks: Looks,
    pub(super) losses: Losses,
    low_estimates: u8,
    pub(super) narrow: Option<Narrow>,
    pub(super) hold: Duration,
    /// When it was wide again.
    left: Option<Instant>,
    /// When its next video packet may leave.
    pub(super) due: Option<Instant>,
}

/// What a look leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// On as before.
    Same,
    /// The link has just turned out to be too narrow.
    Narrow,
    /// Less may be sent than before.
    Less,
}

impl Thinning {
    /// Nothing was reported yet: what the first report is held against.
    pub(super) fn begin(&mut self, at: Instant, next_seqs: [u16; 2]) {
        self.begun = Some(at);
        self.looks.begin(at, next_seqs);
    }

    /// The pace of its video; None where it gets all of it with everyone else.
    pub(super) fn pace_bps(&self) -> Option<u64> {
        let narrow = self.narrow.as_ref()?;
        Some(VIDEO_MIN_BPS.max(narrow.video_bps() as u64))
    }

    /// Packets that leave at once.
    pub(super) fn chunk_packets(&self) -> usize {
        self.pace_bps().map_or(ROUND_PACKETS, |bps| {
            let packets = bps / 8 / CHUNKS_PER_SECOND / CHUNK_PACKET;
            packets.clamp(1, ROUND_PACKETS as u64) as usize
        })
    }

    /// What may be sent again, where that must be little: a full link must not be filled up with what it lost.
    pub(super) fn repair_bps(&self, stream_bps: u64) -> Option<u64> {
        let suspect = || stream_bps.max(LINK_MIN_BPS as u64) / REPAIR_SHARE;
        self.pace_bps()
            .or_else(|| self.losses.suspect().then(suspect))
    }

    /// Round trips are of interest now.
    pub(super) fn watches_closely(&self, now: Instant) -> bool {
        let young = |begun| now.saturating_duration_since(begun) < YOUNG;
        self.narrow.is_some() || self.looks.queueing.seems() || self.begun.is_some_and(young)
    }

    /// Packets that wait on the way to it, as time.
    pub(super) fn queue(&self) -> Duration {
        self.looks.queueing.queue()
    }

    /// Something was sent beside its video, at the video's cost; when the next packet may leave.
    pub(super) fn charge(&mut self, bytes: u64, now: Instant) -> Option<Instant> {
        let pace_bps = self.pace_bps()?;
        let from = self.due.map_or(now, |due| due.max(now));
        self.due = Some(from + time_of(bytes, pace_bps));
        self.due
    }

    /// Takes what is known now.
    pub(super) fn look(&mut self, look: Look) -> Verdict {
        let Some(seen) = self.looks.take(&look, self.narrow.is_some()) else {
            return Verdict::Same;
        };
        if self.narrow.is_some() {
            return self.while_narrow(&look, &seen);
        }
        let stream = look.stream();
        let lossy = self.losses.add(seen.packets, seen.lost);
        let low = self.low_estimate(&look, &seen);
        // What is sent again is lost more often than the reports tell: it proves nothing.
        if seen.first_bps * (1.0 - seen.loss) / (1.0 + seen.growth) > stream * WIDE {
            // More than the stream gets through: it was a burst that did not.
            self.forget();
            return Verdict::Same;
        }
        let full = lossy || self.looks.queueing.grows();
        // What got through tells little while lost packets were sent again and again.
        let least = stream.min(seen.first_bps) * CUT_MOST;
        let through = (seen.through_bps.min(stream) * USED).max(least);
        let bps = match low.filter(|_| self.low_estimates >= REMB_TIMES) {
            _ if full => through,
            // An estimate with a weak sign beside it is believed step by step.
            Some(low) => low.max(seen.sent_bps * CUT_MOST).min(through) * USED,
            None => {
                self.losses.follow(seen.loss, false);
                return Verdict::Same;
            }
        };
        let soon = |left: Instant| look.at.saturating_duration_since(left) < HOLD_MAX;
        self.hold = match self.left {
            Some(left) if soon(left) => (self.hold * 2).min(HOLD_MAX),
            _ => HOLD,
        };
        self.narrow = Some(Narrow::new(bps, lossy, self.queue(), &look, &seen));
        self.forget();
        Verdict::Narrow
    }

    /// An estimate below what is sent. Alone it says nothing: Chromium's stays at a fraction of a stream that it gets whole
    /// and at once, where pictures are few and change in size.
    fn low_estimate(&mut self, look: &Look, seen: &Seen) -> Option<f64> {
        let estimate = look.remb_bps? as f64;
        let likely = self.losses.suspect() || self.looks.queueing.seems();
        let low = Some(estimate).filter(|bps| likely && *bps < seen.sent_bps * REMB_BAD);
        self.low_estimates = match low {
            Some(_) => self.low_estimates.saturating_add(1),
            None => 0,
        };
        low
    }

    /// It gets everything again.
    pub(super) fn widen(&mut self, now: Instant) {
        self.narrow = None;
        self.left = Some(now);
        self.forget();
    }

    /// What was seen so far has been answered.
    pub(super) fn forget(&mut self) {
        self.losses.forget();
        self.low_estimates = 0;
        self.looks.queueing.calm();
    }
}
