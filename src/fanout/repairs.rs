//! Lost packets that viewers ask for again: they wait here until live frames have left, and go out a few at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;
use tokio::net::UdpSocket;

use super::send::{Kind, Outlet};
use super::shard::{Entry, Shard};
use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::FrameBatch;

/// Packets sent again before live frames get their turn.
const PER_TURN: usize = 16;
/// Requests of one viewer that may wait.
const WAITING_MAX: usize = 1024;

/// Requests in the order they came.
pub(super) type Repairs = VecDeque<Wanted>;

/// One packet that a viewer wants.
pub(super) struct Wanted {
    viewer: u64,
    media: Media,
    /// The sequence number the viewer knows.
    seq: u16,
}

impl Shard {
    /// The viewer at `index` asks for packets again.
    pub(super) fn missing(&mut self, index: usize, media: Media, missing: &[u16]) {
        let entry = &mut self.viewers[index];
        let room = WAITING_MAX.saturating_sub(entry.repairs).min(missing.len());
        let viewer = entry.key;
        entry.repairs += room;
        let (taken, refused) = missing.split_at(room);
        self.counters.nack_unrepaired.add(refused.len() as u64);
        self.repairs.extend(taken.iter().map(|seq| Wanted {
            viewer,
            media,
            seq: *seq,
        }));
        self.inbox.wake();
    }

    /// Sends some of what was asked for.
    pub(super) fn repair_some(&mut self, now: Instant) {
        if self.repairs.is_empty() {
            return;
        }
        for _ in 0..PER_TURN {
            let Some(wanted) = self.repairs.pop_front() else {
                break;
            };
            if !self.repair(&wanted, now) {
                self.counters.nack_unrepaired.inc();
            }
        }
        self.outlet
            .flush(&self.sockets, &mut self.viewers, &self.counters);
    }

    fn repair(&mut self, wanted: &Wanted, now: Instant) -> bool {
        let Some(index) = self.by_key.get(&wanted.viewer).copied() else {
            return false;
        };
        let entry = &mut self.viewers[index];
        self.serving = Some(wanted.viewer);
        entry.repairs -= 1;
        let found = self.streams.get(&entry.stream).and_then(|playing| {
            let seq = entry.viewer.stream_seq(wanted.media, wanted.seq)?;
            let batch = playing.stream.history().holding(wanted.media, seq)?;
            Some((seq, batch, playing.stream.stats().bitrate_bps))
        });
        let Some((seq, batch, stream_bps)) = found else {
            return false;
        };
        self.outlet.again(
            &self.sockets,
            &mut self.viewers,
            &self.counters,
            index,
            seq,
            &batch,
            stream_bps,
            now,
        )
    }
}

impl Outlet {
    /// Seals a packet once more for a viewer that lost it and queues it; false where it may not have it. The caller
    /// flushes.
    #[allow(
        clippy::too_many_arguments,
        reason = "parts of a shard, with one caller"
    )]
    fn again(
        &mut self,
        sockets: &[Arc<UdpSocket>],
        viewers: &mut Slab<Entry>,
        counters: &Counters,
        index: usize,
        seq: u64,
        batch: &FrameBatch,
        stream_bps: u64,
        now: Instant,
    ) -> bool {
        let Some(path) = viewers[index].viewer.media_path().copied() else {
            return false;
        };
        if self.must_flush(path.socket, 1) {
            self.flush(sockets, viewers, counters);
            self.socket = path.socket;
        }
        let span = &batch.packets[(seq - batch.first_seq) as usize];
        let start = self.scratch.len();
        let sealed = viewers[index].viewer.seal_again(
            batch.media,
            seq,
            batch.timestamp,
            span.marker,
            batch.payload_of(span),
            stream_bps,
            now,
            &mut self.plain,
            &mut self.scratch,
        );
        if sealed {
            let len = self.scratch.len() - start;
            self.kind = Kind::Again;
            self.message(index, batch.media, &path, start, len, 0, 1, span.len.into());
            self.kind = Kind::Live;
            self.chunk_viewers += 1;
        }
        sealed
    }
}
