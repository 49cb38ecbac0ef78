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

use super::lanes::ROUND_PACKETS;
use super::send::{Kind, Outlet, find_runs};
use super::shard::{Entry, Shard};
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
            self.joining.add(key, now);
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
        let next = entry.start.catch_up.as_ref()?.next;
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
        let end = batch.packets.len().min(first + ROUND_PACKETS);
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
        let caught_up = stream.history().end(Media::Video) == Some(next);
        if caught_up {
            entry.start.live(next);
        } else {
            entry.start.catch_up = Some(CatchUp {
                next,
                between_frames: batch.packets[end - 1].marker,
            });
            let bytes = entry.bytes - bytes_before;
            self.joining
                .spent(key, bytes, stream.stats().bitrate_bps, now);
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
mod tests {
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
        start.catch_up = Some(CatchUp::from_keyframe(3));
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
        let mut within = CatchUp::from_keyframe(10);
        within.between_frames = false;
        start.catch_up = Some(within);
        assert_eq!(start.turn(&batch(20, true)), Turn::No);
        start.catch_up = Some(CatchUp::from_keyframe(21));
        assert_eq!(
            start.turn(&batch(20, true)),
            Turn::No,
            "it had that one already"
        );
        start.catch_up = Some(CatchUp::from_keyframe(10));
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
}
