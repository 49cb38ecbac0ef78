//! Instant start: a viewer that joins gets the pictures since the last key frame, faster than they were made, until it
//! has caught up; then it is live and its frames leave with everyone's.
//!
//! It reads the stream's history as it goes, so that what arrives meanwhile simply comes next: no queue, no gap, no
//! duplicate. Timestamps stay what they are: the player sees late frames and hurries, nothing else. A key frame that
//! comes live makes everyone live at once.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use slab::Slab;

use super::joining::pace_bps;
use super::outlet::{Kind, Outlet};
use super::send::find_runs;
use super::shard::{Entry, Shard};
use super::start::Step;
use crate::net::{Path, PatientSocket};
use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::FrameBatch;

/// Chunks sent before live frames get their turn.
const CHUNKS_PER_TURN: usize = 4;

impl Shard {
    /// The viewer is connected: its picture begins with what the stream has kept, if it has.
    pub(super) fn connected(&mut self, key: u64, now: Instant) {
        if let Some(index) = self.by_key.get(&key) {
            // A wish that comes while the first pictures are on their way needs no other answer.
            let entry = &mut self.viewers[*index];
            entry.start.answers(now);
            let next = [Media::Video, Media::Audio].map(|media| entry.viewer.next_seq(media));
            entry.thinning.begin(now, next);
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
            entry.start.begin(next);
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
        if entry.start.catches_up() {
            return;
        }
        if playing.stream.history().gop_start(now).is_none() {
            return playing.stream.want_keyframe(now);
        }
        if entry.start.answers(now) {
            self.again_from_keyframe(index, now);
        }
    }

    /// On with the last key frame and all that followed, under new sequence numbers, if that is kept.
    pub(super) fn again_from_keyframe(&mut self, index: usize, now: Instant) {
        let entry = &mut self.viewers[index];
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        let history = playing.stream.history();
        let kept = history
            .gop_start(now)
            .and_then(|start| history.holding(Media::Video, start))
            .zip(history.newest(Media::Video));
        if let Some((again, last)) = kept {
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
        let narrow_bps = entry.thinning.pace_bps();
        let most = narrow_bps.map(|_| entry.thinning.chunk_packets());
        let stepped = entry.start.step(stream.history(), now, most);
        if stepped.anew {
            entry.viewer.stop(Media::Video);
        }
        entry.frames_dropped += stepped.left_out;
        self.counters.frames_thinned.add(stepped.left_out);
        let (batch, packets) = match stepped.step {
            Step::Send(batch, packets) => (batch, packets),
            Step::Again => return Some(()),
            Step::Done => return None,
        };
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
            entry.start.give_up();
            return None;
        };
        entry.viewer.leaves(now);
        let (key, before) = (entry.key, entry.wire_bytes());
        let end = packets.end;
        self.outlet.chunk(
            &self.sockets,
            &mut self.viewers,
            &self.counters,
            index,
            &path,
            &batch,
            packets,
        );
        let entry = &mut self.viewers[index];
        if std::mem::take(&mut entry.start.blocked) {
            self.joining.blocked(key, now);
            return Some(());
        }
        let bytes = entry.wire_bytes() - before;
        let pace_bps = narrow_bps.unwrap_or_else(|| pace_bps(stream.stats().bitrate_bps));
        let due = self.joining.spent(key, bytes, pace_bps, now);
        entry.thinning.due = due.filter(|_| narrow_bps.is_some());
        let caught_up = entry.start.sent(stream.history(), &batch, end);
        if !had_started {
            self.report(index, now, wall);
        }
        (!caught_up).then_some(())
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
        sockets: &[Arc<PatientSocket>],
        viewers: &mut Slab<Entry>,
        counters: &Counters,
        index: usize,
        path: &Path,
        batch: &FrameBatch,
        packets: Range<usize>,
    ) {
        find_runs(&mut self.runs, batch, packets.start, packets.end);
        (self.kind, self.socket) = (Kind::CatchUp, path.socket);
        self.queue(index, &mut viewers[index], path, batch);
        self.flush(sockets, viewers, counters);
        self.kind = Kind::Live;
    }
}
