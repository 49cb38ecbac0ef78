//! The send loop: viewer-major. For each viewer every packet of the round is sealed into one scratch buffer that all
//! viewers share ([`super::outlet`]); after about 16 viewers the kernel takes it in one call.

use std::time::{Instant, SystemTime};

use super::lanes::Round;
use super::shard::Shard;
use super::start::Turn;
use crate::rtp::Media;
use crate::stream::FrameBatch;

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;

/// Largest UDP message over IPv4 (over IPv6 it is larger), segments or not.
const MESSAGE_MAX: usize = 65_507;
/// RTP header, its extension and SRTP tag at most.
const PACKET_OVERHEAD: usize = 12 + 8 + 16;

/// Packets `first..first + count` that the kernel can cut out of one message: all of one length, but the last,
/// which may be shorter (UDP_SEGMENT); not more than one message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Shard {
    /// Sends one round of a frame to every viewer of its stream.
    pub(super) fn send_round(&mut self, round: &Round, now: Instant) {
        let Some(playing) = self.streams.get(&round.lane.0) else {
            return;
        };
        let batch = &*round.batch;
        find_runs(&mut self.outlet.runs, batch, round.first, round.end);
        let messages = round.end - round.first;
        let count = playing.viewers.len();
        // Each frame begins with another viewer: a socket that runs full doesn't always fail the same ones.
        let turn = (batch.first_seq % count.max(1) as u64) as usize;
        for position in 0..count {
            let index = playing.viewers[(position + turn) % count];
            let entry = &mut self.viewers[index];
            self.serving = Some(entry.key);
            let media = batch.media as usize;
            if round.first == 0 {
                let turn = match batch.media {
                    Media::Video if entry.thinning.pace_bps().is_some() => {
                        entry.start.turn_narrow(batch)
                    }
                    Media::Video => entry.start.turn(batch),
                    Media::Audio => Turn::Live,
                };
                if turn == Turn::Anew {
                    entry.viewer.stop(batch.media);
                    self.joining.remove(entry.key);
                }
                if turn == Turn::Paced {
                    let due = entry.thinning.due.unwrap_or(now);
                    self.joining.add(entry.key, due.max(now));
                } else if turn == Turn::No && entry.start.is_paused() {
                    entry.frames_dropped += 1;
                    self.counters.frames_thinned.inc();
                }
                let had_started = entry.viewer.started(batch.media);
                entry.in_frame[media] = matches!(turn, Turn::Live | Turn::Anew)
                    && entry.viewer.begin(
                        batch.media,
                        batch.codec,
                        batch.first_seq,
                        batch.packets.len(),
                        batch.keyframe,
                    );
                if entry.in_frame[media] && !had_started {
                    self.outlet.fresh.push(index);
                }
            }
            if !entry.in_frame[media] {
                continue;
            }
            let Some(path) = entry.viewer.media_path().copied() else {
                continue;
            };
            if self.outlet.must_flush(path.socket, messages) {
                self.outlet
                    .flush(&self.sockets, &mut self.viewers, &self.counters);
                self.outlet.socket = path.socket;
            }
            let entry = &mut self.viewers[index];
            entry.viewer.leaves(now);
            self.outlet.queue(index, entry, &path, batch);
        }
        self.outlet
            .flush(&self.sockets, &mut self.viewers, &self.counters);
        if !self.outlet.fresh.is_empty() {
            let wall = SystemTime::now();
            for index in std::mem::take(&mut self.outlet.fresh) {
                self.report(index, now, wall);
            }
        }
    }
}

/// Splits packets `first..end` into runs the kernel can segment.
pub(super) fn find_runs(runs: &mut Vec<Run>, batch: &FrameBatch, first: usize, end: usize) {
    runs.clear();
    let mut at = first;
    while at < end {
        let len = batch.packets[at].len;
        let most = (MESSAGE_MAX / (usize::from(len) + PACKET_OVERHEAD)).max(1);
        let end = end.min(at + most);
        let mut next = at + 1;
        while next < end && batch.packets[next].len == len {
            next += 1;
        }
        if next < end && batch.packets[next].len < len {
            next += 1;
        }
        runs.push(Run {
            first: at,
            count: next - at,
        });
        at = next;
    }
}
