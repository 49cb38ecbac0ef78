//! What a narrow link carries. It is found by what got through when it was full; a little less than that is sent. More is
//! tried after a while, a little at a time; each time that fails, the next try waits twice as long.

use std::time::{Duration, Instant};

use super::looks::{Look, Seen};
use super::queueing::{QUEUE_BAD, QUEUE_NONE};
use super::thinning::{Thinning, Verdict};

/// Of what got through: a queue shrinks.
pub(super) const USED: f64 = 0.93;
/// The least that is left by one look: the reports may be of a short outage.
pub(super) const CUT_MOST: f64 = 0.4;
/// The link is wide enough where it carries this many times the stream.
pub(super) const WIDE: f64 = 1.25;
pub(super) const LINK_MIN_BPS: f64 = 100_000.0;
/// The first wait before more is tried, and the longest.
pub(super) const HOLD: Duration = Duration::from_secs(5);
pub(super) const HOLD_MAX: Duration = Duration::from_secs(60);
/// How much more at each look, and how much that grows with each once it is so far beyond what was too much before.
const MORE: f64 = 0.03;
const BEYOND: f64 = 1.1;
const MORE_STEP: f64 = 0.02;
const MORE_MAX: f64 = 0.15;
/// What was sent filled the link where it was this much of it.
const SENT_FULL: f64 = 0.8;
/// So much is not lost for a little too much.
const OUTAGE: f64 = 0.6;
/// Up to this part of what was once too much, a part of the way is made up for at each look.
const NEAR: f64 = 0.93;
const BACK: f64 = 0.5;
const THERE: f64 = 0.98;
/// Reports speak of the time before a cut no longer than this.
const STALE_MAX: Duration = Duration::from_secs(4);
/// So many cuts in a row after which this much is left of what they answered: it isn't the amount.
const IN_VAIN: u8 = 2;
const STUBBORN: f64 = 0.6;

/// A narrow link.
#[derive(Debug)]
pub(super) struct Narrow {
    bps: f64,
    audio_bps: f64,
    /// What the link carried when it was full.
    full_bps: f64,
    /// Nothing was too much since.
    good_since: Instant,
    /// How often in a row more was tried, once it was near.
    raises: u32,
    /// Of these, beyond what was too much before.
    beyond: u32,
    /// Reports up to the first that knows this packet, or comes after this, are about what was sent before the last cut.
    stale: Option<(u16, Instant)>,
    cut: Cut,
    /// Cuts in a row that changed nothing, and the rate before them.
    in_vain: u8,
    before_bps: f64,
}

/// The last time that less was sent than before.
#[derive(Debug)]
struct Cut {
    at: Instant,
    /// It answered loss, or else a queue; how much of both there was.
    lossy: bool,
    loss: f64,
    queue: Duration,
    /// More was tried since.
    over: bool,
}

impl Narrow {
    /// A link that has just turned out to be narrow is sent so much from now on.
    pub(super) fn new(bps: f64, lossy: bool, queue: Duration, look: &Look, seen: &Seen) -> Self {
        Self {
            bps: bps.max(LINK_MIN_BPS),
            audio_bps: seen.audio_bps,
            full_bps: look.stream().min(seen.sent_bps),
            good_since: look.at,
            raises: 0,
            beyond: 0,
            stale: Some((look.sent_seq, look.at + STALE_MAX)),
            cut: Cut {
                at: look.at,
                lossy,
                loss: seen.loss,
                queue,
                over: false,
            },
            in_vain: 0,
            before_bps: f64::INFINITY,
        }
    }

    /// What is left for video.
    pub(super) fn video_bps(&self) -> f64 {
        self.bps - self.audio_bps
    }

    /// Whether a report is still about the time before the last cut.
    fn is_stale(&mut self, look: &Look) -> bool {
        let Some((seq, until)) = self.stale else {
            return false;
        };
        let highest = look.tracks[0].map_or(0, |track| track.highest as u16);
        // RFC 1982: not older.
        let known = highest.wrapping_sub(seq) < 0x8000;
        self.stale = self.stale.filter(|_| !known && look.at < until);
        self.good_since = look.at;
        true
    }

    /// The link is not full.
    fn raise(&mut self, look: &Look, seen: &Seen, queue: Duration, calm: bool, hold: Duration) {
        if queue >= QUEUE_BAD {
            self.full_bps = self.full_bps.min(self.bps);
            return;
        }
        let full = seen.sent_bps >= self.bps.min(look.stream()) * SENT_FULL;
        if !full || !calm {
            return;
        }
        let near = self.full_bps * NEAR;
        if self.bps < near * THERE {
            if queue < QUEUE_NONE {
                self.bps += (near - self.bps) * BACK;
                self.cut.over = true;
                self.good_since = look.at;
            }
        } else if look.at.saturating_duration_since(self.good_since) >= hold {
            // Faster once it is beyond what was too much.
            let beyond = self.bps > self.full_bps * BEYOND;
            self.beyond = if beyond { self.beyond + 1 } else { 0 };
            let more = MORE + MORE_STEP * f64::from(self.beyond);
            self.bps *= 1.0 + more.min(MORE_MAX);
            self.raises += 1;
            self.cut.over = true;
        }
    }

    /// The link is full; true where sending less has not helped.
    fn answered_in_vain(&mut self, seen: &Seen, lossy: bool, queue: Duration) -> bool {
        let as_before = match lossy {
            true => seen.loss >= self.cut.loss * STUBBORN,
            false => queue >= self.cut.queue.mul_f64(STUBBORN),
        };
        if as_before && !self.cut.over && self.cut.lossy == lossy {
            self.in_vain += 1;
        } else {
            (self.in_vain, self.before_bps) = (0, self.bps);
        }
        self.in_vain >= IN_VAIN
    }

    /// Sends less.
    fn cut(&mut self, look: &Look, seen: &Seen, lossy: bool, queue: Duration) {
        // Where it was sent less than it may be, what got through tells little.
        let may = match seen.sent_bps < self.bps * SENT_FULL {
            true => self.bps * (seen.through_bps / seen.sent_bps.max(1.0)),
            false => seen.through_bps,
        };
        // It carried more until now: an outage likely, and what it carried before comes back soon.
        self.full_bps = match seen.loss > OUTAGE {
            true => self.bps,
            false => may.min(self.bps),
        };
        self.bps = (may * USED)
            .clamp(self.bps * CUT_MOST, self.bps * USED)
            .max(LINK_MIN_BPS);
        (self.raises, self.beyond) = (0, 0);
        self.stale = Some((look.sent_seq, look.at + STALE_MAX));
        self.good_since = look.at;
        self.cut = Cut {
            at: look.at,
            lossy,
            loss: seen.loss,
            queue,
            over: false,
        };
    }
}

impl Thinning {
    /// A look at a link known to be narrow.
    pub(super) fn while_narrow(&mut self, look: &Look, seen: &Seen) -> Verdict {
        let queue = self.queue();
        let Some(narrow) = &mut self.narrow else {
            return Verdict::Same;
        };
        narrow.audio_bps = seen.audio_bps;
        if narrow.is_stale(look) {
            self.looks.queueing.calm();
            return Verdict::Same;
        }
        // Audio is reported more rarely: of what was lost before the last cut it may speak later.
        let audio = match seen.audio_from > narrow.cut.at {
            true => seen.audio,
            false => (0, 0),
        };
        let packets = seen.packets + f64::from(audio.0);
        let lost = seen.lost + f64::from(audio.1);
        let raising = narrow.raises > 0;
        let lossy = self.losses.add_narrow(packets, lost, raising);
        if !lossy && !self.looks.queueing.grows() && !self.looks.queueing.stands() {
            narrow.raise(look, seen, queue, self.losses.calm(), self.hold);
            self.losses.follow(seen.loss, narrow.raises == 0);
            self.widen_if_wide(look);
            return Verdict::Same;
        }
        if raising {
            self.hold = (self.hold * 2).min(HOLD_MAX);
        }
        if !narrow.answered_in_vain(seen, lossy, queue) {
            narrow.cut(look, seen, lossy, queue);
            self.forget();
            return Verdict::Less;
        }
        // Less and less was sent, and as much was lost or it took as long: so it is with this link.
        narrow.in_vain = 0;
        narrow.good_since = look.at;
        if lossy {
            narrow.bps = narrow.before_bps;
            self.losses.accept(seen.loss);
        } else {
            self.looks.queueing.forget();
        }
        self.forget();
        self.widen_if_wide(look);
        Verdict::Same
    }

    fn widen_if_wide(&mut self, look: &Look) {
        let wide_bps = look.stream() * WIDE;
        if self.narrow.as_ref().is_some_and(|at| at.bps > wide_bps) {
            self.widen(look.at);
        }
    }
}
