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
use super::queueing::{QUEUE_BAD, QUEUE_NONE, Queueing};
use crate::peer::Received;

#[cfg(test)]
#[path = "thinning_tests.rs"]
mod tests;

/// Reports closer together than this are taken as one, and so are those of few packets.
const LOOK: Duration = Duration::from_millis(400);
/// Of a link known to be narrow there is time to see more.
const NARROW_LOOK: Duration = Duration::from_millis(900);
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
const MORE_LOSS: f64 = 0.05;
const NARROW_EXCESS_BAD: f64 = 5.0;
/// It falls with what is seen by one part of so many.
const USUAL: f64 = 4.0;
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
const CUT_MOST: f64 = 0.4;
/// So much is not lost for a little too much.
const OUTAGE: f64 = 0.6;
/// Where less of the way to what was once too much is left, the rest is gone slowly.
const NEAR: f64 = 0.93;
/// Else so much of it is made up for at each look.
const BACK: f64 = 0.5;
const STALE_MAX: Duration = Duration::from_secs(4);
/// So many cuts in a row after which this much of the loss before is left: it isn't the amount.
const IN_VAIN: u8 = 2;
const STUBBORN: f64 = 0.6;
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
/// A viewer's first time, in which most narrow links are found.
const YOUNG: Duration = Duration::from_secs(10);
/// What leaves at once: 20 ms of the link.
const CHUNKS_PER_SECOND: u64 = 50;
const CHUNK_PACKET: u64 = 1200;
/// What repairs may take: a half of a narrow link's video, of the stream where a link may be narrow.
const REPAIR_SHARE: u64 = 2;

/// What is known of one viewer's link.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    begun: Option<Instant>,
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
    /// What the link carried when it was full.
    full_bps: f64,
    /// Nothing was too much since.
    good_since: Instant,
    /// Looks since more is tried.
    raises: u32,
    /// Reports up to the first that knows this packet, or comes after this, are about what was sent before the last cut.
    stale: Option<(u16, Instant)>,
    /// The loss and the queue that were answered last, how often in a row that changed nothing, and the rate before.
    answered_loss: f64,
    answered_queue: Duration,
    answered_lossy: bool,
    /// More was tried since.
    raised: bool,
    in_vain: u8,
    before_bps: f64,
}

/// Counts at one moment; two of them make rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// What was reported last of video and of audio.
    pub(super) tracks: [Option<Received>; 2],
    /// The video's next sequence number.
    pub(super) sent_seq: u16,
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
    /// Of both tracks.
    packets: f64,
    lost: f64,
    /// Of the video.
    loss: f64,
    sent_bps: f64,
    through_bps: f64,
    /// Of the queue, a part of the time; not below zero.
    growth: f64,
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

/// Packets from one report to the next, and how many of them were lost; None for nonsense.
fn between(before: Received, now: Received) -> Option<(u32, u32)> {
    let expected = now.highest.wrapping_sub(before.highest);
    let lost = now.lost.saturating_sub(before.lost).max(0).cast_unsigned();
    // A round of sequence numbers and more: an older report.
    (expected <= u32::from(u16::MAX)).then_some((expected, lost.min(expected)))
}

impl Thinning {
    /// Nothing was reported yet: what the first report is held against.
    pub(super) fn begin(&mut self, at: Instant, next_seqs: [u16; 2]) {
        self.begun = Some(at);
        self.seen = Some(Look {
            at,
            tracks: next_seqs.map(|next| {
                Some(Received {
                    highest: u32::from(next).wrapping_sub(1),
                    lost: 0,
                })
            }),
            rtt: None,
            bytes: 0,
            video_bytes: 0,
            audio_bytes: 0,
            remb_bps: None,
            sent_seq: 0,
            stream_bps: 0,
        });
    }

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

    /// Round trips are of interest now.
    pub(super) fn watches_closely(&self, now: Instant) -> bool {
        let young = |begun| now.saturating_duration_since(begun) < YOUNG;
        self.narrow.is_some() || self.queueing.seems() || self.begun.is_some_and(young)
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
        #[cfg(test)]
        if std::env::var("TRACE").is_ok() {
            println!(
                "    {seen:?} excess {} usual {} narrow {:?}",
                self.excess, self.usual_loss, self.narrow
            );
        }
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
        let loss = seen.loss;
        let stream = look.stream();
        // What is sent again is lost more often than the reports tell: it proves nothing.
        if seen.first_bps * (1.0 - loss) / (1.0 + seen.growth) > stream * WIDE {
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
        // What got through tells little while lost packets were sent again and again.
        let least = stream.min(seen.first_bps) * CUT_MOST;
        let through = (seen.through_bps.min(stream) * USED).max(least);
        // An estimate without any other sign is believed step by step.
        let only = estimated && self.excess < EXCESS_BAD && !self.queueing.grows();
        let bps = low.filter(|_| only).map_or(through, |low| {
            low.max(seen.sent_bps * CUT_MOST).min(through) * USED
        });
        self.narrow = Some(Narrow {
            bps: bps.max(LINK_MIN_BPS),
            audio_bps: seen.audio_bps,
            full_bps: stream.min(seen.sent_bps),
            good_since: look.at,
            raises: 0,
            stale: Some((look.sent_seq, look.at + STALE_MAX)),
            answered_loss: seen.loss,
            answered_queue: self.queueing.queue(),
            answered_lossy: self.excess >= EXCESS_BAD,
            raised: false,
            in_vain: 0,
            before_bps: f64::INFINITY,
        });
        self.calm();
        Verdict::Narrow
    }

    /// What happened since the look before; None where that is too little.
    fn since_last(&mut self, look: &Look) -> Option<Seen> {
        let Some(before) = self.seen else {
            self.seen = Some(*look);
            self.queueing.take(look.rtt, look.at, false);
            return None;
        };
        let elapsed = look.at.saturating_duration_since(before.at);
        let mut look = *look;
        let [video, audio] = [0, 1].map(|track| {
            let (now, then) = (&mut look.tracks[track], before.tracks[track]);
            *now = now.or(then);
            between(then.unwrap_or_default(), now.unwrap_or_default())
        });
        let few = |video: (u32, u32)| video.0 < LOOK_PACKETS;
        let look_time = match self.narrow {
            Some(_) => NARROW_LOOK,
            None => LOOK,
        };
        if elapsed < look_time || video.is_some_and(few) {
            return None;
        }
        self.seen = Some(look);
        let (video, audio) = (video?, audio.unwrap_or_default());
        let growth = self.queueing.take(look.rtt, look.at, self.narrow.is_some());
        let growth = growth.max(0.0);
        let loss = f64::from(video.1) / f64::from(video.0);
        let audio_loss = match audio.0 {
            0 => loss,
            expected => f64::from(audio.1) / f64::from(expected),
        };
        let bps = |bytes: u64| bytes as f64 * 8.0 / elapsed.as_secs_f64();
        let sent_bps = bps(look.bytes.saturating_sub(before.bytes));
        let audio_bps = bps(look.audio_bytes.wrapping_sub(before.audio_bytes).into());
        let video_bps = bps(look.video_bytes.wrapping_sub(before.video_bytes).into());
        Some(Seen {
            packets: f64::from(video.0 + audio.0),
            lost: f64::from(video.1 + audio.1),
            loss,
            sent_bps,
            // What was sent in a second took so much longer to arrive.
            through_bps: (sent_bps - (sent_bps - audio_bps) * loss - audio_bps * audio_loss)
                / (1.0 + growth),
            growth,
            first_bps: video_bps + audio_bps,
            audio_bps,
        })
    }

    fn while_narrow(&mut self, look: &Look, seen: &Seen) -> Verdict {
        let (usual, queue) = (self.usual_loss, self.queueing.queue());
        let Some(narrow) = &mut self.narrow else {
            return Verdict::Same;
        };
        narrow.audio_bps = seen.audio_bps;
        if let Some((seq, until)) = narrow.stale {
            let highest = look.tracks[0].map_or(0, |track| track.highest as u16);
            // RFC 1982: not older.
            let known = highest.wrapping_sub(seq) < 0x8000;
            narrow.stale = narrow.stale.filter(|_| !known && look.at < until);
            narrow.good_since = look.at;
            self.queueing.calm();
            return Verdict::Same;
        }
        self.excess = (self.excess + seen.lost - seen.packets * (usual + MORE_LOSS)).max(0.0);
        let lossy = self.excess >= NARROW_EXCESS_BAD;
        if !lossy && !self.queueing.grows() && !self.queueing.stands() {
            let good_for = look.at.saturating_duration_since(narrow.good_since);
            let full = seen.sent_bps >= narrow.bps.min(look.stream()) * SENT_FULL;
            let calm = self.excess < NARROW_EXCESS_BAD / 2.0 && queue < QUEUE_BAD;
            if queue >= QUEUE_BAD {
                narrow.full_bps = narrow.full_bps.min(narrow.bps);
            }
            let near = narrow.full_bps * NEAR;
            if narrow.bps < near && full && calm && queue < QUEUE_NONE {
                narrow.bps += (near - narrow.bps) * BACK;
                narrow.raised = true;
                narrow.good_since = look.at;
            } else if good_for >= self.hold && full && calm {
                let more = MORE + MORE_STEP * f64::from(narrow.raises);
                narrow.bps *= 1.0 + more.min(MORE_MAX);
                narrow.raises += 1;
                narrow.raised = true;
            }
            self.follow_usual(seen.loss);
            if self
                .narrow
                .as_ref()
                .is_some_and(|at| at.bps > look.stream() * WIDE)
            {
                self.widen(look.at);
            }
            return Verdict::Same;
        }
        let as_before = match lossy {
            true => seen.loss >= narrow.answered_loss * STUBBORN,
            false => queue >= narrow.answered_queue.mul_f64(STUBBORN),
        };
        if narrow.raises > 0 {
            self.hold = (self.hold * 2).min(HOLD_MAX);
        }
        let as_before = as_before && !narrow.raised && narrow.answered_lossy == lossy;
        if !as_before {
            (narrow.in_vain, narrow.before_bps) = (0, narrow.bps);
        } else {
            narrow.in_vain += 1;
        }
        (narrow.answered_loss, narrow.answered_queue) = (seen.loss, queue);
        (narrow.answered_lossy, narrow.raised) = (lossy, false);
        if narrow.in_vain >= IN_VAIN {
            // Less and less was sent, and as much was lost or it took as long: so it is with this link.
            narrow.in_vain = 0;
            narrow.good_since = look.at;
            if lossy {
                self.usual_loss = seen.loss.min(USUAL_MAX);
                narrow.bps = narrow.before_bps;
            } else {
                self.queueing.forget();
            }
            self.calm();
            if self
                .narrow
                .as_ref()
                .is_some_and(|at| at.bps > look.stream() * WIDE)
            {
                self.widen(look.at);
            }
            return Verdict::Same;
        }
        // Where it was sent less than it may be, what got through tells little.
        let may = match seen.sent_bps < narrow.bps * SENT_FULL {
            true => narrow.bps * (seen.through_bps / seen.sent_bps),
            false => seen.through_bps,
        };
        // It carried more until now: an outage likely, and what it carried before comes back soon.
        narrow.full_bps = match seen.loss > OUTAGE {
            true => narrow.bps,
            false => may.min(narrow.bps),
        };
        narrow.bps = (may * USED)
            .clamp(narrow.bps * CUT_MOST, narrow.bps * USED)
            .max(LINK_MIN_BPS);
        narrow.raises = 0;
        narrow.stale = Some((look.sent_seq, look.at + STALE_MAX));
        narrow.good_since = look.at;
        self.calm();
        Verdict::Less
    }

    fn follow_usual(&mut self, loss: f64) {
        self.usual_loss += (loss - self.usual_loss).min(0.0) / USUAL;
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
