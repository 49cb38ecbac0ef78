//! Lost packets that viewers ask for again: they wait here until live frames have left, and go out a few at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::outlet::{Kind, Outlet, packet_of};
use super::shard::{Entry, Shard};
use crate::net::PatientSocket;
use crate::peer::repair::limit_bps;
use crate::peer::{room_for, wire_len};
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
    kind: Kind,
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
            kind: Kind::Again,
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
            let sent = self.repair(&wanted, now);
            if !sent && wanted.kind == Kind::Again {
                self.counters.nack_unrepaired.inc();
            }
            if sent && self.owes_copy(&wanted) {
                let kind = Kind::Copy;
                self.repairs.push_back(Wanted { kind, ..wanted });
            }
        }
        self.outlet
            .flush(&self.sockets, &mut self.viewers, &self.counters);
    }

    /// Books a second copy of what was just sent, where it is due. On a narrow link it would make things worse.
    fn owes_copy(&mut self, wanted: &Wanted) -> bool {
        let Some(index) = self.by_key.get(&wanted.viewer) else {
            return false;
        };
        let entry = &mut self.viewers[*index];
        let owes =
            entry.thinning.pace_bps().is_none() && entry.viewer.owes_copy(wanted.media, wanted.seq);
        entry.repairs += usize::from(owes);
        owes
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
            let stream_bps = playing.stream.stats().bitrate_bps;
            let limit_bps = entry
                .thinning
                .repair_bps(stream_bps)
                .unwrap_or_else(|| limit_bps(stream_bps));
            Some((seq, batch, limit_bps))
        });
        let Some((seq, batch, limit_bps)) = found else {
            return false;
        };
        let again = self.outlet.again(
            &self.sockets,
            &mut self.viewers,
            &self.counters,
            (index, wanted.kind),
            seq,
            &batch,
            limit_bps,
            now,
        );
        let span = &batch.packets[(seq - batch.first_seq) as usize];
        let thinning = &mut self.viewers[index].thinning;
        let due = again.then(|| thinning.charge(wire_len(usize::from(span.len)), now));
        if let Some(due) = due.flatten() {
            self.joining.not_before(wanted.viewer, due);
        }
        again
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
        sockets: &[Arc<PatientSocket>],
        viewers: &mut Slab<Entry>,
        counters: &Counters,
        (index, kind): (usize, Kind),
        seq: u64,
        batch: &FrameBatch,
        limit_bps: u64,
        now: Instant,
    ) -> bool {
        let Some(path) = viewers[index].viewer.media_path().copied() else {
            return false;
        };
        if self.must_flush(path.socket, 1) {
            self.flush(sockets, viewers, counters);
            self.socket = path.socket;
        }
        let packet = packet_of(batch, (seq - batch.first_seq) as usize);
        let room = self.scratch.room(room_for(packet.payload.len()));
        let viewer = &mut viewers[index].viewer;
        let len = viewer.seal_again(&packet, limit_bps, now, &mut self.plain, room);
        if len > 0 {
            self.kind = kind;
            let mut message = self.message(index, batch.media);
            self.kind = Kind::Live;
            message.add(&packet, len);
            self.scratch.filled += len;
            self.push(&path, 0, message);
            self.chunk_viewers += 1;
        }
        len > 0
    }
}
