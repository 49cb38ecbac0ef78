//! Where a viewer's video stands: live, on its way there through the stream's history, or waiting for a key frame. It
//! says which packets come next; who sends them is [`super::catchup`].

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lanes::ROUND_PACKETS;
use crate::rtp::Media;
use crate::stream::FrameBatch;
use crate::stream::history::{History, Next};

/// After an answer to a wish for a key frame the next one waits this long, then twice as long each time.
const ANSWER_AGAIN: Duration = Duration::from_secs(2);
const ANSWER_AGAIN_MAX: Duration = Duration::from_secs(32);
/// A viewer that wanted no key frame for so long is like new.
const ANSWER_FORGOTTEN: Duration = Duration::from_secs(60);
/// A narrow link's video this much behind is left out up to the next key frame: a picture that lags is better than one
/// that stands, up to a point.
const LAG_MAX: Duration = Duration::from_secs(4);

/// Where a viewer's video stands.
#[derive(Default)]
pub(super) struct Start {
    catch_up: Option<CatchUp>,
    /// First packet of the stream that its live rounds may send: all before was sent by catching up.
    live_from: u64,
    /// Nothing of a narrow link's video leaves before the next key frame.
    paused: bool,
    /// The timestamp of the last key frame that came while the link was narrow: its parts are one.
    key_frame: Option<u32>,
    /// A wish for a key frame was answered, and how long that holds.
    answered: Option<(Instant, Duration)>,
    /// The socket was full.
    pub(super) blocked: bool,
}

struct CatchUp {
    /// The stream's packet that comes next.
    next: u64,
    /// The packet before was the last of its frame: another frame may follow.
    between_frames: bool,
    /// A key frame has come that it goes on with, once it is between frames.
    jump: Option<u64>,
}

/// Whether a live frame is a viewer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It gets, or got, this frame by catching up.
    No,
    /// It goes on with this frame.
    Live,
    /// It leaves out what it has not caught up with and begins anew with this frame.
    Anew,
    /// It gets this frame at its own pace, and those behind it.
    Paced,
}

/// What comes next for a viewer that catches up.
pub(super) enum Step {
    /// These packets of a batch.
    Send(Arc<FrameBatch>, Range<usize>),
    /// What came next was gone: another look finds what follows.
    Again,
    /// Nothing: it is live, or waits for a key frame.
    Done,
}

/// [`Step`], and what it leaves out.
pub(super) struct Stepped {
    pub(super) step: Step,
    /// It goes on elsewhere in the stream: its track begins anew.
    pub(super) anew: bool,
    /// Batches left out for the sake of the link.
    pub(super) left_out: u64,
}

impl Start {
    /// A live frame begins.
    pub(super) fn turn(&mut self, batch: &FrameBatch) -> Turn {
        let Some(catch_up) = &self.catch_up else {
            return if batch.first_seq >= self.live_from {
                Turn::Live
            } else {
                Turn::No
            };
        };
        if !batch.keyframe || !catch_up.between_frames || batch.first_seq < catch_up.next {
            return Turn::No;
        }
        self.live(batch.first_seq);
        Turn::Anew
    }

    /// A live frame begins, of a viewer whose link is narrow.
    pub(super) fn turn_narrow(&mut self, batch: &FrameBatch) -> Turn {
        let begins = batch.keyframe && self.key_frame != Some(batch.timestamp);
        if begins {
            self.key_frame = Some(batch.timestamp);
        }
        if let Some(catch_up) = &mut self.catch_up {
            if begins && catch_up.next < batch.first_seq {
                catch_up.jump = Some(batch.first_seq);
            }
            return Turn::No;
        }
        if batch.first_seq < self.live_from || (self.paused && !begins) {
            return Turn::No;
        }
        self.begin(batch.first_seq);
        Turn::Paced
    }

    /// It reads the history from packet `from` on, the first of a frame.
    pub(super) fn begin(&mut self, from: u64) {
        self.paused = false;
        self.catch_up = Some(CatchUp::between_frames(from));
    }

    /// It gets no video before the next key frame.
    pub(super) fn pause(&mut self) {
        self.catch_up = None;
        self.paused = true;
    }

    /// Frames are left out for it just now.
    pub(super) fn is_paused(&self) -> bool {
        self.paused && self.catch_up.is_none()
    }

    /// It reads the history.
    pub(super) fn catches_up(&self) -> bool {
        self.catch_up.is_some()
    }

    /// What comes next from the history, `narrow`: on a link where so many packets leave at once.
    pub(super) fn step(
        &mut self,
        history: &History,
        now: Instant,
        narrow: Option<usize>,
    ) -> Stepped {
        let mut stepped = Stepped {
            step: Step::Done,
            anew: false,
            left_out: 0,
        };
        let Some(catch_up) = &mut self.catch_up else {
            return stepped;
        };
        let ahead = |key_frame: &u64| catch_up.between_frames && *key_frame > catch_up.next;
        if let Some(key_frame) = catch_up.jump.filter(ahead) {
            stepped.left_out = history.batches(Media::Video, catch_up.next..key_frame);
            stepped.anew = true;
            *catch_up = CatchUp::between_frames(key_frame);
        }
        let (next, between_frames) = (catch_up.next, catch_up.between_frames);
        let batch = match history.next(Media::Video, next) {
            Next::Batch(batch) => batch,
            Next::End => {
                self.live(next);
                return stepped;
            }
            Next::Gone => {
                // The stream outran it: on with a later key frame, which will come if it isn't here.
                self.live(next);
                stepped.anew = true;
                if let Some(key_frame) = history.gop_start(now) {
                    self.begin(key_frame);
                    stepped.step = Step::Again;
                }
                return stepped;
            }
        };
        let late = now.saturating_duration_since(batch.closed_at) > LAG_MAX;
        if narrow.is_some() && late && between_frames && !batch.keyframe {
            self.live(next);
            self.pause();
            stepped.anew = true;
            return stepped;
        }
        let first = next.saturating_sub(batch.first_seq) as usize;
        let most = narrow.unwrap_or(ROUND_PACKETS);
        let end = batch.packets.len().min(first + most);
        stepped.step = Step::Send(batch, first..end);
        stepped
    }

    /// Packets up to `end` of what [`Start::step`] gave were sent; true where it has caught up.
    pub(super) fn sent(&mut self, history: &History, batch: &FrameBatch, end: usize) -> bool {
        let next = batch.first_seq + end as u64;
        let caught_up = history.end(Media::Video) == Some(next);
        if caught_up {
            self.live(next);
        } else if let Some(catch_up) = &mut self.catch_up {
            catch_up.next = next;
            catch_up.between_frames = batch.packets[end - 1].marker;
        }
        caught_up
    }

    /// It has nothing to do with the history any more: what follows comes live.
    pub(super) fn give_up(&mut self) {
        if let Some(catch_up) = &self.catch_up {
            self.live(catch_up.next);
        }
    }

    /// It has caught up: from packet `from` on it is live.
    fn live(&mut self, from: u64) {
        self.catch_up = None;
        self.live_from = from;
    }

    /// Whether a wish for a key frame is to be answered now; if so, that is booked.
    pub(super) fn answers(&mut self, now: Instant) -> bool {
        let since = |at| now.saturating_duration_since(at);
        let holds = match self.answered {
            Some((at, holds)) if since(at) < holds => return false,
            Some((at, holds)) if since(at) < ANSWER_FORGOTTEN => (holds * 2).min(ANSWER_AGAIN_MAX),
            _ => ANSWER_AGAIN,
        };
        self.answered = Some((now, holds));
        true
    }
}

impl CatchUp {
    fn between_frames(next: u64) -> Self {
        Self {
            next,
            between_frames: true,
            jump: None,
        }
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
