//! The way out of a shard: sealed packets gather in one scratch buffer, and the kernel takes them many at a time, each
//! viewer's run of packets as one message.

use std::os::fd::AsFd;
use std::sync::Arc;

use slab::Slab;

use super::send::Run;
use super::shard::Entry;
use crate::net::{MAX_MESSAGES, Outcome, Path, PatientSocket, SendBatch};
use crate::peer::{StreamPacket, room_for};
use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::FrameBatch;

/// Viewers per system call.
const CHUNK_VIEWERS: usize = 16;
/// Scratch bytes per system call: what stays in a core's second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// As part of a round to everyone: what fails is lost, for the next frame is near.
    #[default]
    Live,
    /// To catch up: what fails is tried again.
    CatchUp,
    /// Once more, after a loss: what fails will be asked for again.
    Again,
    /// A second time after the same loss; no request is settled by it.
    Copy,
}

/// A message in flight: whose it is, what it carries, and where in the scratch it stands.
pub(super) struct Load {
    viewer: usize,
    kind: Kind,
    media: Media,
    packets: u32,
    payload_octets: u32,
    wire_bytes: u32,
    start: usize,
}

impl Load {
    /// One more packet of it was sealed to `len` bytes.
    #[inline]
    pub(super) fn add(&mut self, packet: &StreamPacket<'_>, len: usize) {
        self.packets += 1;
        self.payload_octets += packet.payload.len() as u32;
        self.wire_bytes += len as u32;
    }
}

/// Bytes of the messages under way. It grows to the largest chunk seen and is never cleared, for every byte is written
/// before it is sent.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    pub(super) filled: usize,
}

impl Scratch {
    /// At least `len` bytes behind what is filled.
    #[inline]
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.filled + len;
        if self.bytes.len() < end {
            self.bytes.resize(end.max(CHUNK_BYTES), 0);
        }
        &mut self.bytes[self.filled..]
    }
}

/// Buffers of the send loop, made once.
#[derive(Default)]
pub(super) struct Outlet {
    pub(super) scratch: Scratch,
    batch: SendBatch,
    loads: Vec<Load>,
    pub(super) runs: Vec<Run>,
    pub(super) kind: Kind,
    /// An RTX payload while it is put together.
    pub(super) plain: Vec<u8>,
    pub(super) socket: u8,
    pub(super) chunk_viewers: usize,
    /// Viewers whose first packet of a track leaves in this round: a sender report follows at once.
    pub(super) fresh: Vec<usize>,
}

impl Outlet {
    /// One datagram, outside the media rounds. A full socket loses it, as any network may.
    pub(super) fn send_now(&mut self, sockets: &[Arc<PatientSocket>], path: &Path, bytes: &[u8]) {
        let Some(socket) = sockets.get(usize::from(path.socket)) else {
            return;
        };
        self.batch.push(path, 0, bytes.len(), 0, 0);
        self.batch.flush(socket.as_fd(), bytes, |_, _| {});
    }

    /// Datagrams of one viewer, outside the media rounds: they leave with those of others, before `scratch` is used for
    /// anything else ([`Self::flush_datagrams`]). `segments`: what goes to one path may be one message.
    pub(super) fn queue_datagrams(
        &mut self,
        sockets: &[Arc<PatientSocket>],
        datagrams: &[(Path, Vec<u8>)],
        segments: bool,
    ) {
        let mut rest = datagrams;
        while let Some((path, first)) = rest.first() {
            // UDP_SEGMENT: all of one length, but the last, which may be shorter.
            let paired = |next: &&(Path, Vec<u8>)| {
                segments && next.0 == *path && next.1.len() <= first.len()
            };
            let count = 1 + usize::from(rest.get(1).filter(paired).is_some());
            if self.batch.is_full() || self.socket != path.socket {
                self.flush_datagrams(sockets);
                self.socket = path.socket;
            }
            let start = self.scratch.filled;
            for (_, bytes) in &rest[..count] {
                self.scratch.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
                self.scratch.filled += bytes.len();
            }
            let segment = if count > 1 { first.len() as u16 } else { 0 };
            self.batch
                .push(path, start, self.scratch.filled - start, segment, 0);
            rest = &rest[count..];
        }
    }

    /// Sends what [`Self::queue_datagrams`] gathered. A full socket loses it, as any network may.
    pub(super) fn flush_datagrams(&mut self, sockets: &[Arc<PatientSocket>]) {
        if let Some(socket) = sockets.get(usize::from(self.socket)) {
            self.batch
                .flush(socket.as_fd(), &self.scratch.bytes, |_, _| {});
        }
        self.scratch.filled = 0;
    }

    /// Seals one round of a frame for one viewer and queues it.
    pub(super) fn queue(
        &mut self,
        index: usize,
        entry: &mut Entry,
        path: &Path,
        batch: &FrameBatch,
    ) {
        let segments = entry.viewer.segments;
        for run_index in 0..self.runs.len() {
            let run = self.runs[run_index];
            let mut message = self.message(index, batch.media);
            let mut segment = 0;
            for number in run.first..run.first + run.count {
                let packet = packet_of(batch, number);
                let room = self.scratch.room(room_for(packet.payload.len()));
                let len = entry.viewer.seal(&packet, room);
                self.scratch.filled += len;
                message.add(&packet, len);
                if !segments {
                    self.push(path, 0, message);
                    message = self.message(index, batch.media);
                } else if segment == 0 && run.count > 1 {
                    segment = len as u16;
                }
            }
            self.push(path, segment, message);
        }
        self.chunk_viewers += 1;
    }

    /// A message for a viewer that begins where the scratch ends.
    pub(super) fn message(&self, viewer: usize, media: Media) -> Load {
        Load {
            viewer,
            kind: self.kind,
            media,
            packets: 0,
            payload_octets: 0,
            wire_bytes: 0,
            start: self.scratch.filled,
        }
    }

    /// Queues a message, to be cut every `segment` bytes (0: one packet); an empty one is none.
    pub(super) fn push(&mut self, path: &Path, segment: u16, load: Load) {
        if load.wire_bytes > 0 {
            let len = load.wire_bytes as usize;
            self.batch
                .push(path, load.start, len, segment, self.loads.len());
            self.loads.push(load);
        }
    }

    /// The next viewer, with at most `messages` messages, has no room in this chunk.
    pub(super) fn must_flush(&self, socket: u8, messages: usize) -> bool {
        self.socket != socket
            || self.chunk_viewers >= CHUNK_VIEWERS
            || self.scratch.filled >= CHUNK_BYTES
            || self.loads.len() + messages > MAX_MESSAGES
    }

    /// Gives the chunk to the kernel and books what became of it. Whoever can't be served loses the frame.
    pub(super) fn flush(
        &mut self,
        sockets: &[Arc<PatientSocket>],
        viewers: &mut Slab<Entry>,
        counters: &Counters,
    ) {
        let (mut packets, mut bytes) = (0, 0);
        let Self {
            scratch,
            batch,
            loads,
            ..
        } = self;
        if let Some(socket) = sockets.get(usize::from(self.socket)) {
            batch.flush(socket.as_fd(), &scratch.bytes, |tag, outcome| {
                let load = &loads[tag];
                let Some(entry) = viewers.get_mut(load.viewer) else {
                    return;
                };
                match outcome {
                    Outcome::Sent | Outcome::SentPlain => {
                        entry.viewer.segments &= outcome == Outcome::Sent;
                        match load.kind {
                            Kind::Again => counters.repaired.add(u64::from(load.packets)),
                            Kind::Copy => {}
                            Kind::Live | Kind::CatchUp => {
                                entry
                                    .viewer
                                    .count(load.media, load.packets, load.payload_octets)
                            }
                        }
                        entry.packets += u64::from(load.packets);
                        entry.bytes += u64::from(load.wire_bytes);
                        packets += u64::from(load.packets);
                        bytes += u64::from(load.wire_bytes);
                    }
                    _ if load.kind == Kind::Again => {
                        counters.nack_unrepaired.add(u64::from(load.packets));
                    }
                    _ if load.kind == Kind::Copy => {}
                    Outcome::Blocked if load.kind == Kind::CatchUp => entry.start.blocked = true,
                    Outcome::Blocked | Outcome::Failed(_) => {
                        if std::mem::take(&mut entry.in_frame[load.media as usize]) {
                            entry.frames_dropped += 1;
                            counters.frames_dropped.inc();
                        }
                    }
                }
            });
        }
        counters.packets_out.add(packets);
        counters.bytes_out.add(bytes);
        self.scratch.filled = 0;
        self.loads.clear();
        self.chunk_viewers = 0;
    }
}

/// Packet `number` of a frame.
#[inline]
pub(super) fn packet_of(batch: &FrameBatch, number: usize) -> StreamPacket<'_> {
    let span = &batch.packets[number];
    StreamPacket {
        media: batch.media,
        seq: batch.first_seq + number as u64,
        timestamp: batch.timestamp,
        marker: span.marker,
        payload: batch.payload_of(span),
    }
}
