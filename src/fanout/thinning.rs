//! A link narrower than the stream. What a viewer reports says how much gets through; from then on its video leaves no
//! faster than that, read from the stream's history as when it catches up, and where a key frame comes before it got
//! there, the frames between are left out. Audio leaves with everyone's. Sequence numbers go on without a gap: nothing is
//! asked for again.
//!
//! Two things say that a link is full. Loss, summed up over the reports as far as it is above what a link may lose at any
//! rate: luck evens out, too much does not. And round trips that grow by as much as is sent too fast. What may be sent is
//! raised after a while, a little at a time; each time that fails, the next try waits twice as long.

use std::time::{Duration, Instant};

use super::joining::time_of;
use super::lanes::ROUND_PACKETS;
use super::queueing::{QUEUE_BAD, Queueing};

#[cfg(test)]
#[path = "thinning_tests.rs"]
mod tests;

/// Reports closer together than this are taken as one, and so are those of few packets.
const LOOK: Duration = Duration::from_millis(400);
const LOOK_PACKETS: u32 = 10;
/// Loss that repair makes up for. What is lost above it adds up, what stays below takes away.
const LOSS_BORNE: f64 = 0.09;
/// So many packets lost too much say that the link is full. At 5 % of random loss that is a matter of years.
const EXCESS_BAD: f64 = 12.0;
/// One report, of an outage maybe, does not.
const EXCESS_OF_ONE: f64 = 10.0;
/// Reason enough to send little again.
const EXCESS_SUSPECT: f64 = 4.0;
/// Of a link known to be narrow: loss above its usual one, and how much of it.
const MORE_LOSS: f64 = 0.03;
const NARROW_EXCESS_BAD: f64 = 5.0;
/// The usual loss follows what is seen by one part of so many.
const USUAL: f64 = 8.0;
const USUAL_MAX: f64 = 0.3;
/// An estimate this far below what is sent, so many times in a row, says that packets queue up somewhere. An estimator in
/// doubt stays above.
const REMB_BAD: f64 = 0.7;
const REMB_TIMES: u8 = 4;
/// What was sent filled the link where it was this much of it.
const SENT_FULL: f64 = 0.8;
/// Of what got through: a queue shrinks.
const USED: f64 = 0.93;
/// The least that is left by one look: the reports may be of a short outage.
const CUT_MOST: f64 = 0.5;
/// So many cuts in a row after which as much is lost as before: it isn't the amount.
const STUBBORN: u8 = 3;
/// The first wait before more is tried, and the longest.
const HOLD: Duration = Duration::from_secs(5);
const HOLD_MAX: Duration = Duration::from_secs(60);
/// How much more at the first look, and how much that grows with each.
const MORE: f64 = 0.04;
const MORE_STEP: f64 = 0.015;
const MORE_MAX: f64 = 0.12;
/// The link is wide enough where it carries this many times the stream.
const WIDE: f64 = 1.25;
const LINK_MIN_BPS: f64 = 100_000.0;
const VIDEO_MIN_BPS: u64 = 50_000;
/// What leaves at once: 20 ms of the link.
const CHUNKS_PER_SECOND: u64 = 50;
const CHUNK_PACKET: u64 = 1200;
/// What repairs may take: a half of a narrow link's video, of the stream where a link may be narrow.
const REPAIR_SHARE: u64 = 2;

/// What is known of one viewer's link.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    seen: Option<Look>,
    queueing: Queueing,
    /// Packets lost too much.
    excess: f64,
    low_estimates: u8,
    /// Loss that it has at any rate.
    usual_loss: f64,
    narrow: Option<Narrow>,
    hold: Duration,
    /// When it was wide again.
    left: Option<Instant>,
    /// When its next video packet may leave.
    pub(super) due: Option<Instant>,
}

#[derive(Debug)]
struct Narrow {
    bps: f64,
    audio_bps: f64,
    /// Nothing was too much since.
    good_since: Instant,
    /// Looks since more is tried.
    raises: u32,
    /// The next report is still about what was sent before the last cut.
    stale: bool,
    /// Cuts in a row.
    cuts: u8,
}

/// Counts at one moment; two of them make rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// The report's highest sequence number and cumulative loss, of the video.
    pub(super) highest: u32,
    pub(super) lost: i32,
    /// The round trip it tells of.
    pub(super) rtt: Option<Duration>,
    /// Bytes sent to it in all, repairs and headers too.
    pub(super) bytes: u64,
    /// Bytes sent for the first time, of video and of audio, headers too; these wrap.
    pub(super) video_bytes: u32,
    pub(super) audio_bytes: u32,
    /// An estimate that came since the last look.
    pub(super) remb_bps: Option<u64>,
    pub(super) stream_bps: u64,
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

/// What happened between two looks.
#[derive(Debug, Clone, Copy)]
struct Seen {
    packets: f64,
    lost: f64,
    sent_bps: f64,
    through_bps: f64,
    first_bps: f64,
    audio_bps: f64,
}

impl Look {
    /// The stream's rate; not known in its first second.
    fn stream(&self) -> f64 {
        match self.stream_bps {
            0 => f64::INFINITY,
            bps => bps as f64,
        }
    }
}

impl Thinning {
    /// The pace of its video; None where it gets all of it with everyone else.
    pub(super) fn pace_bps(&self) -> Option<u64> {
        let narrow = self.narrow.as_ref()?;
        let bps = narrow.bps - narrow.audio_bps;
        Some(VIDEO_MIN_BPS.max(bps as u64))
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
        let suspect = self.excess >= EXCESS_SUSPECT;
        let of = self
            .pace_bps()
            .or_else(|| suspect.then_some(stream_bps.max(LINK_MIN_BPS as u64)));
        of.map(|bps| bps / REPAIR_SHARE)
    }

    /// Packets that wait on the way to it, as time.
    pub(super) fn queue(&self) -> Duration {
        self.queueing.queue()
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
        let Some(seen) = self.since_last(&look) else {
            return Verdict::Same;
        };
        if self.narrow.is_some() {
            return self.while_narrow(&look, &seen);
        }
        let usual = LOSS_BORNE.max(self.usual_loss + MORE_LOSS);
        let excess = (seen.lost - seen.packets * usual).min(EXCESS_OF_ONE);
        self.excess = (self.excess + excess).max(0.0);
        let low = look.remb_bps.map(|bps| bps as f64);
        let low = low.filter(|remb| *remb < seen.sent_bps * REMB_BAD);
        self.low_estimates = match (look.remb_bps, low) {
            (_, Some(_)) => self.low_estimates + 1,
            (Some(_), None) => 0,
            (None, None) => self.low_estimates,
        };
        let loss = seen.lost / seen.packets;
        let stream = look.stream();
        // What is sent again is lost more often than the reports tell: it proves nothing.
        if seen.first_bps * (1.0 - loss) > stream * WIDE {
            // More than the stream gets through: it was a burst that did not.
            self.excess = 0.0;
            self.low_estimates = 0;
            self.queueing.calm();
            return Verdict::Same;
        }
        let estimated = self.low_estimates >= REMB_TIMES;
        if self.excess < EXCESS_BAD && !self.queueing.grows() && !estimated {
            self.follow_usual(loss);
            return Verdict::Same;
        }
        let soon = |left: Instant| look.at.saturating_duration_since(left) < HOLD_MAX;
        self.hold = match self.left {
            Some(left) if soon(left) => (self.hold * 2).min(HOLD_MAX),
            _ => HOLD,
        };
        let through = seen.through_bps.min(stream) * USED;
        // An estimate without any other sign is believed step by step.
        let only = estimated && self.excess < EXCESS_BAD && !self.queueing.grows();
        let bps = low.filter(|_| only).map_or(through, |low| {
            low.max(seen.sent_bps * CUT_MOST).min(through) * USED
        });
        self.narrow = Some(Narrow {
            bps: bps.max(LINK_MIN_BPS),
            audio_bps: seen.audio_bps,
            good_since: look.at,
            raises: 0,
            stale: true,
            cuts: 1,
        });
        self.calm();
        Verdict::Narrow
    }

    /// What happened since the look before; None where that is too little.
    fn since_last(&mut self, look: &Look) -> Option<Seen> {
        let Some(before) = self.seen else {
            self.seen = Some(*look);
            self.queueing.take(look.rtt, look.at);
            return None;
        };
        let elapsed = look.at.saturating_duration_since(before.at);
        let expected = look.highest.wrapping_sub(before.highest);
        if elapsed < LOOK || expected < LOOK_PACKETS {
            return None;
        }
        self.seen = Some(*look);
        if expected > i32::MAX as u32 {
            // An older report, or nonsense.
            return None;
        }
        let growth = self.queueing.take(look.rtt, look.at);
        let packets = f64::from(expected);
        let lost = look.lost.saturating_sub(before.lost).max(0);
        let lost = f64::from(lost).min(packets);
        let bps = |bytes: u64| bytes as f64 * 8.0 / elapsed.as_secs_f64();
        let sent_bps = bps(look.bytes.saturating_sub(before.bytes));
        let audio_bps = bps(look.audio_bytes.wrapping_sub(before.audio_bytes).into());
        let video_bps = bps(look.video_bytes.wrapping_sub(before.video_bytes).into());
        Some(Seen {
            packets,
            lost,
            sent_bps,
            // What was sent in a second took so much longer to arrive.
            through_bps: sent_bps * (1.0 - lost / packets) / (1.0 + growth.max(0.0)),
            first_bps: video_bps + audio_bps,
            audio_bps,
        })
    }

    fn while_narrow(&mut self, look: &Look, seen: &Seen) -> Verdict {
        let loss = seen.lost / seen.packets;
        let usual = self.usual_loss;
        let Some(narrow) = &mut self.narrow else {
            return Verdict::Same;
        };
        narrow.audio_bps = seen.audio_bps;
        if std::mem::take(&mut narrow.stale) {
            narrow.good_since = look.at;
            self.queueing.calm();
            return Verdict::Same;
        }
        self.excess = (self.excess + seen.lost - seen.packets * (usual + MORE_LOSS)).max(0.0);
        let lossy = self.excess >= NARROW_EXCESS_BAD;
        if !lossy && !self.queueing.grows() && !self.queueing.stands() {
            let good_for = look.at.saturating_duration_since(narrow.good_since);
            let full = seen.sent_bps >= narrow.bps * SENT_FULL || narrow.bps >= look.stream();
            let calm = self.excess == 0.0 && self.queueing.queue() < QUEUE_BAD;
            if good_for >= self.hold && full && calm {
                let more = MORE + MORE_STEP * f64::from(narrow.raises);
                narrow.bps *= 1.0 + more.min(MORE_MAX);
                narrow.raises += 1;
            } else if narrow.raises == 0 {
                narrow.cuts = 0;
                self.follow_usual(loss);
            }
            if self.narrow.as_ref().is_some_and(|at| at.bps > look.stream() * WIDE) {
                self.widen(look.at);
            }
            return Verdict::Same;
        }
        if narrow.raises > 0 {
            self.hold = (self.hold * 2).min(HOLD_MAX);
            narrow.cuts = 0;
        }
        narrow.cuts += 1;
        if lossy && narrow.cuts > STUBBORN {
            // Less and less was sent and as much was lost: so it is with this link.
            self.usual_loss = loss.min(USUAL_MAX);
            self.widen(look.at);
            return Verdict::Same;
        }
        // Where it was sent less than it may be, what got through tells little.
        let may = match seen.sent_bps < narrow.bps * SENT_FULL {
            true => narrow.bps * (seen.through_bps / seen.sent_bps),
            false => seen.through_bps,
        };
        narrow.bps = (may * USED)
            .clamp(narrow.bps * CUT_MOST, narrow.bps * USED)
            .max(LINK_MIN_BPS);
        narrow.raises = 0;
        narrow.stale = true;
        narrow.good_since = look.at;
        self.calm();
        Verdict::Less
    }

    fn follow_usual(&mut self, loss: f64) {
        self.usual_loss += (loss.min(USUAL_MAX) - self.usual_loss) / USUAL;
    }

    fn widen(&mut self, now: Instant) {
        self.narrow = None;
        self.left = Some(now);
        self.calm();
    }

    fn calm(&mut self) {
        self.excess = 0.0;
        self.low_estimates = 0;
        self.queueing.calm();
    }
}
