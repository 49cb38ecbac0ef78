//! The send loop: viewer-major. For each viewer every packet of the round is sealed into one scratch buffer that all
//! viewers share; after about 16 viewers the kernel takes it in one call, each viewer's run of packets as one message.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use slab::Slab;
use tokio::net::UdpSocket;

use super::catchup::Turn;
use super::lanes::Round;
use super::shard::{Entry, Shard};
use crate::net::{MAX_MESSAGES, Outcome, Path, SendBatch};
use crate::rtp::Media;
use crate::stats::Counters;
use crate::stream::FrameBatch;

/// Viewers per system call.
const CHUNK_VIEWERS: usize = 16;
/// Scratch bytes per system call: what stays in a core's second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Largest UDP message over IPv4 (over IPv6 it is larger), segments or not.
const MESSAGE_MAX: usize = 65_507;
/// RTP header and SRTP tag at most.
const PACKET_OVERHEAD: usize = 12 + 16;

/// Packets `first..first + count` that the kernel can cut out of one message: all of one length, but the last,
/// which may be shorter (UDP_SEGMENT); not more than one message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    first: usize,
    count: usize,
}

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
}

/// What a message in flight carries.
struct Load {
    viewer: usize,
    kind: Kind,
    media: Media,
    packets: u32,
    payload_octets: u32,
    wire_bytes: u32,
}

/// Buffers of the send loop, made once.
#[derive(Default)]
pub(super) struct Outlet {
    pub(super) scratch: Vec<u8>,
    batch: SendBatch,
    loads: Vec<Load>,
    pub(super) runs: Vec<Run>,
    pub(super) kind: Kind,
    /// An RTX payload while it is put together.
    pub(super) plain: Vec<u8>,
    pub(super) socket: u8,
    pub(super) chunk_viewers: usize,
    /// Viewers whose first packet of a track leaves in this round: a sender report follows at once.
    fresh: Vec<usize>,
}

impl Outlet {
    /// One datagram, outside the media rounds. A full socket loses it, as any network may.
    pub(super) fn send_now(&mut self, sockets: &[Arc<UdpSocket>], path: &Path, bytes: &[u8]) {
        let Some(socket) = sockets.get(usize::from(path.socket)) else {
            return;
        };
        self.batch.push(path, 0, bytes.len(), 0, 0);
        self.batch.flush(socket.as_fd(), bytes, |_, _| {});
    }

    /// Seals one round of a frame for one viewer and queues it.
    pub(super) fn queue(&mut self, index: usize, entry: &Entry, path: &Path, batch: &FrameBatch) {
        let media = batch.media;
        for run_index in 0..self.runs.len() {
            let run = self.runs[run_index];
            let start = self.scratch.len();
            let mut payload_octets = 0;
            let mut segment = 0;
            for packet in run.first..run.first + run.count {
                let packet_start = self.scratch.len();
                let span = &batch.packets[packet];
                let seq = batch.first_seq + packet as u64;
                let payload = batch.payload_of(span);
                entry.viewer.seal(
                    media,
                    seq,
                    batch.timestamp,
                    span.marker,
                    payload,
                    &mut self.scratch,
                );
                let len = self.scratch.len() - packet_start;
                if entry.viewer.segments {
                    payload_octets += u32::from(span.len);
                    segment = if packet == run.first { len } else { segment };
                } else {
                    self.message(index, media, path, packet_start, len, 0, 1, span.len.into());
                }
            }
            if entry.viewer.segments {
                let len = self.scratch.len() - start;
                let segment = if run.count > 1 { segment as u16 } else { 0 };
                self.message(
                    index,
                    media,
                    path,
                    start,
                    len,
                    segment,
                    run.count as u32,
                    payload_octets,
                );
            }
        }
        self.chunk_viewers += 1;
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one line of the hot loop, with one caller"
    )]
    pub(super) fn message(
        &mut self,
        viewer: usize,
        media: Media,
        path: &Path,
        start: usize,
        len: usize,
        segment: u16,
        packets: u32,
        payload_octets: u32,
    ) {
        if len == 0 {
            return;
        }
        self.batch.push(path, start, len, segment, self.loads.len());
        self.loads.push(Load {
            viewer,
            kind: self.kind,
            media,
            packets,
            payload_octets,
            wire_bytes: len as u32,
        });
    }

    /// The next viewer, with at most `messages` messages, has no room in this chunk.
    pub(super) fn must_flush(&self, socket: u8, messages: usize) -> bool {
        self.socket != socket
            || self.chunk_viewers >= CHUNK_VIEWERS
            || self.scratch.len() >= CHUNK_BYTES
            || self.loads.len() + messages > MAX_MESSAGES
    }

    /// Gives the chunk to the kernel and books what became of it. Whoever can't be served loses the frame.
    pub(super) fn flush(
        &mut self,
        sockets: &[Arc<UdpSocket>],
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
            batch.flush(socket.as_fd(), scratch, |tag, outcome| {
                let load = &loads[tag];
                let Some(entry) = viewers.get_mut(load.viewer) else {
                    return;
                };
                match outcome {
                    Outcome::Sent | Outcome::SentPlain => {
                        entry.viewer.segments &= outcome == Outcome::Sent;
                        if load.kind == Kind::Again {
                            counters.repaired.add(u64::from(load.packets));
                        } else {
                            entry
                                .viewer
                                .count(load.media, load.packets, load.payload_octets);
                        }
                        entry.packets += u64::from(load.packets);
                        entry.bytes += u64::from(load.wire_bytes);
                        packets += u64::from(load.packets);
                        bytes += u64::from(load.wire_bytes);
                    }
                    _ if load.kind == Kind::Again => {
                        counters.nack_unrepaired.add(u64::from(load.packets));
                    }
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
        self.scratch.clear();
        self.loads.clear();
        self.chunk_viewers = 0;
    }
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
                    Media::Video => entry.start.turn(batch),
                    Media::Audio => Turn::Live,
                };
                if turn == Turn::Anew {
                    entry.viewer.stop(batch.media);
                    self.joining.remove(entry.key);
                }
                let had_started = entry.viewer.started(batch.media);
                entry.in_frame[media] = turn != Turn::No
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
            self.outlet.queue(index, &self.viewers[index], &path, batch);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::codec::Codec;
    use crate::stream::PacketSpan;

    fn runs_of(lengths: &[u16]) -> Vec<(usize, usize)> {
        let packets = lengths
            .iter()
            .map(|len| PacketSpan {
                offset: 0,
                len: *len,
                marker: false,
            })
            .collect();
        let batch = FrameBatch {
            media: Media::Video,
            codec: Codec::H264,
            first_seq: 0,
            timestamp: 0,
            keyframe: false,
            closed_at: Instant::now(),
            payload: Box::default(),
            packets,
        };
        let mut runs = Vec::new();
        find_runs(&mut runs, &batch, 0, lengths.len());
        runs.iter().map(|run| (run.first, run.count)).collect()
    }

    #[test]
    fn only_the_last_packet_of_a_run_may_be_shorter() {
        assert_eq!(runs_of(&[1200, 1200, 1200, 700]), [(0, 4)]);
        assert_eq!(
            runs_of(&[10, 4, 900, 1200, 1200, 3]),
            [(0, 2), (2, 1), (3, 3)]
        );
        assert_eq!(runs_of(&[5, 6, 7]), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(runs_of(&[7, 6, 6]), [(0, 2), (2, 1)]);
        assert_eq!(runs_of(&[4095; 16]), [(0, 15), (15, 1)]);
        assert_eq!(runs_of(&[65_000; 2]), [(0, 1), (1, 1)]);
        assert_eq!(runs_of(&[7]), [(0, 1)]);
        assert_eq!(runs_of(&[]), []);
    }
}
