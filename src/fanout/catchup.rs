//! Instant start: a viewer that joins gets the pictures since the last key frame, faster than they were made, until it
//! has caught up; then it is live and its frames leave with everyone's.
//!
//! It reads the stream's history as it goes, so that what arrives meanwhile simply comes next: no queue, no gap, no
//! duplicate. Timestamps stay what they are: the player sees late frames and hurries, nothing else. A key frame that
//! comes live makes everyone live at once.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use slab::Slab;
use tokio::net::UdpSocket;

use super::joining::pace_bps;
use super::outlet::{Kind, Outlet};
use super::send::find_runs;
use super::shard::{Entry, Shard};
use super::thinning::LAG_MAX;
use crate::net::Path;
use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::FrameBatch;
use crate::stream::history::Next;

/// Chunks sent before live frames get their turn.
const CHUNKS_PER_TURN: usize = 4;
/// After an answer to a wish for a key frame the next one waits this long, then twice as long each time.
const ANSWER_AGAIN: Duration = Duration::from_secs(2);
const ANSWER_AGAIN_MAX: Duration = Duration::from_secs(32);
/// A viewer that wanted no key frame for so long is like new.
const ANSWER_FORGOTTEN: Duration = Duration::from_secs(60);

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
        self.paused = false;
        self.catch_up = Some(CatchUp::from_keyframe(batch.first_seq));
        Turn::Paced
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

    /// It has caught up: from packet `from` on it is live.
    fn live(&mut self, from: u64) {
        self.catch_up = None;
        self.live_from = from;
    }

    /// Whether a wish for a key frame is to be answered now; if so, that is booked.
    fn answers(&mut self, now: Instant) -> bool {
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

impl Shard {
    /// The viewer is connected: its picture begins with what the stream has kept, if it has.
    pub(super) fn connected(&mut self, key: u64, now: Instant) {
        if let Some(index) = self.by_key.get(&key) {
            // A wish that comes while the first pictures are on their way needs no other answer.
            self.viewers[*index].start.answers(now);
            self.join(key, now);
        }
    }

    fn join(&mut self, key: u64, now: Instant) {
        let Some(index) = self.by_key.get(&key).copied() else {
            return;
        };
        let entry = &mut self.viewers[index];
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        let Some(next) = playing.stream.history().gop_start(now) else {
            return;
        };
        if entry.viewer.plays(Media::Video) {
            entry.start.catch_up = Some(CatchUp::from_keyframe(next));
            entry.viewer.stop(Media::Video);
            let due = entry.thinning.due.unwrap_or(now);
            self.joining.add(key, due.max(now));
            self.inbox.wake();
        }
    }

    /// A viewer can't go on without a key frame. It gets the last one again with all that followed, under new sequence
    /// numbers; where there is none to be had, the host hears of it.
    pub(super) fn keyframe_wanted(&mut self, index: usize, now: Instant) {
        let entry = &mut self.viewers[index];
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        if entry.start.catch_up.is_some() {
            return;
        }
        let history = playing.stream.history();
        let kept = history
            .gop_start(now)
            .and_then(|start| history.holding(Media::Video, start))
            .zip(history.newest(Media::Video));
        let Some((again, last)) = kept else {
            return playing.stream.want_keyframe(now);
        };
        if entry.start.answers(now) {
            let first = |batch: &FrameBatch| batch.payload_of(&batch.packets[0]).to_vec();
            entry
                .viewer
                .repeat(Media::Video, &first(&again), &first(&last));
            let key = entry.key;
            self.join(key, now);
        }
    }

    /// Sends some chunks to viewers that catch up.
    pub(super) fn catch_up_some(&mut self, now: Instant, wall: SystemTime) {
        for _ in 0..CHUNKS_PER_TURN {
            let Some(key) = self.joining.next(now) else {
                return;
            };
            let index = self.by_key.get(&key).copied();
            let goes_on = index.is_some_and(|index| self.chunk(index, now, wall).is_some());
            if !goes_on {
                self.joining.remove(key);
            }
        }
    }

    /// Sends one chunk; None where the viewer catches up no more.
    fn chunk(&mut self, index: usize, now: Instant, wall: SystemTime) -> Option<()> {
        let entry = &mut self.viewers[index];
        self.serving = Some(entry.key);
        let stream = &self.streams.get(&entry.stream)?.stream;
        let catch_up = entry.start.catch_up.as_mut()?;
        if let Some(key_frame) = catch_up.jump.filter(|_| catch_up.between_frames) {
            let left_out = stream
                .history()
                .batches(Media::Video, catch_up.next..key_frame);
            entry.frames_dropped += left_out;
            self.counters.frames_thinned.add(left_out);
            *catch_up = CatchUp::from_keyframe(key_frame);
            entry.viewer.stop(Media::Video);
        }
        let (next, between_frames) = (catch_up.next, catch_up.between_frames);
        let narrow_bps = entry.thinning.pace_bps();
        let batch = match stream.history().next(Media::Video, next) {
            Next::Batch(batch) => batch,
            Next::End => {
                entry.start.live(next);
                return None;
            }
            Next::Gone => {
                // The stream outran it: on with a later key frame, which will come if it isn't here.
                entry.viewer.stop(Media::Video);
                entry.start.live(next);
                let next = stream.history().gop_start(now)?;
                entry.start.catch_up = Some(CatchUp::from_keyframe(next));
                return Some(());
            }
        };
        let first = next.saturating_sub(batch.first_seq) as usize;
        let late = now.saturating_duration_since(batch.closed_at) > LAG_MAX;
        if narrow_bps.is_some() && late && between_frames && !batch.keyframe {
            entry.start.live(next);
            entry.start.pause();
            entry.viewer.stop(Media::Video);
            return None;
        }
        let end = batch
            .packets
            .len()
            .min(first + entry.thinning.chunk_packets());
        let (path, had_started) = (
            entry.viewer.media_path().copied(),
            entry.viewer.started(Media::Video),
        );
        let begun = entry.viewer.begin(
            Media::Video,
            batch.codec,
            batch.first_seq,
            batch.packets.len(),
            batch.keyframe,
        );
        let Some(path) = path.filter(|_| begun) else {
            entry.start.live(next);
            return None;
        };
        let (key, bytes_before) = (entry.key, entry.bytes);
        self.outlet.chunk(
            &self.sockets,
            &mut self.viewers,
            &self.counters,
            index,
            &path,
            &batch,
            first..end,
        );
        let entry = &mut self.viewers[index];
        if std::mem::take(&mut entry.start.blocked) {
            self.joining.blocked(key, now);
            return Some(());
        }
        let next = batch.first_seq + end as u64;
        let bytes = entry.bytes - bytes_before;
        let pace_bps = narrow_bps.unwrap_or_else(|| pace_bps(stream.stats().bitrate_bps));
        let due = self.joining.spent(key, bytes, pace_bps, now);
        entry.thinning.due = due.filter(|_| narrow_bps.is_some());
        let caught_up = stream.history().end(Media::Video) == Some(next);
        if caught_up {
            entry.start.live(next);
        } else {
            let jump = entry.start.catch_up.as_ref().and_then(|at| at.jump);
            entry.start.catch_up = Some(CatchUp {
                next,
                between_frames: batch.packets[end - 1].marker,
                jump,
            });
        }
        if !had_started {
            self.report(index, now, wall);
        }
        (!caught_up).then_some(())
    }
}

impl CatchUp {
    fn from_keyframe(next: u64) -> Self {
        Self {
            next,
            between_frames: true,
            jump: None,
        }
    }
}

impl Outlet {
    /// Sends packets of a frame to one viewer that catches up. Where the socket was full, that is noted there.
    #[allow(
        clippy::too_many_arguments,
        reason = "parts of a shard, with one caller"
    )]
    fn chunk(
        &mut self,
        sockets: &[Arc<UdpSocket>],
        viewers: &mut Slab<Entry>,
        counters: &Counters,
        index: usize,
        path: &Path,
        batch: &FrameBatch,
        packets: Range<usize>,
    ) {
        find_runs(&mut self.runs, batch, packets.start, packets.end);
        (self.kind, self.socket) = (Kind::CatchUp, path.socket);
        self.queue(index, &viewers[index], path, batch);
        self.flush(sockets, viewers, counters);
        self.kind = Kind::Live;
    }
}

#[cfg(test)]
#[path = "catchup_tests.rs"]
mod tests;
