//! Packets of one frame in one buffer, until the frame is whole.
//!
//! A batch closes on the marker bit, on a new timestamp, at 63 packets or 64 KB (what one segmented send takes), at a hole
//! in the sequence, and after 1 ms of silence. Parameter sets alone wait for their picture. FFmpeg writes a frame in one go;
//! a publisher's pacer may spread it over the time of several: nobody waits for the whole of it then.

use std::time::{Duration, Instant};

use super::batch::PacketSpan;

/// Packets of a batch at most: one segmented send takes 64, and a key frame may get parameter sets in front.
pub(super) const MAX_PACKETS: usize = 63;

/// Payload bytes of a batch at most, unless one packet alone has more.
pub(super) const MAX_BYTES: usize = 64 * 1024;

const SILENCE: Duration = Duration::from_millis(1);
/// The same of a publisher, and how long a batch of its packets is open at most: what is waited for is latency.
const SILENCE_HURRIED: Duration = Duration::from_micros(500);
const OPEN_HURRIED: Duration = Duration::from_millis(1);

/// A closed batch, still with the sequence numbers it came with.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) first_seq: u64,
    pub(super) timestamp: u32,
    pub(super) keyframe: bool,
    /// How many packets at the front are ours and have no sequence number of the sender's.
    pub(super) prepended: u64,
    pub(super) payload: Box<[u8]>,
    pub(super) packets: Box<[PacketSpan]>,
}

impl Closed {
    /// Puts a packet of our own in front (parameter sets: once per key frame, so a copy is cheap enough).
    pub(super) fn prepend(&mut self, payload: &[u8]) {
        let (Ok(shift), Ok(len)) = (u32::try_from(payload.len()), u16::try_from(payload.len()))
        else {
            return;
        };
        let first = PacketSpan {
            offset: 0,
            len,
            marker: false,
        };
        self.packets = std::iter::once(first)
            .chain(self.packets.iter().map(|span| PacketSpan {
                offset: span.offset + shift,
                ..*span
            }))
            .collect();
        self.payload = [payload, &self.payload].concat().into();
        self.prepended += 1;
    }

    /// Sequence number of the sender's last packet.
    pub(super) fn last_seq(&self) -> u64 {
        self.first_seq + self.packets.len() as u64 - self.prepended - 1
    }
}

/// The batch that is open.
#[derive(Debug, Default)]
pub(super) struct Gather {
    payload: Vec<u8>,
    packets: Vec<PacketSpan>,
    first_seq: u64,
    timestamp: u32,
    keyframe: bool,
    picture: bool,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
    /// The last packet did not end its frame.
    unfinished: bool,
    hurried: bool,
}

impl Gather {
    /// A publisher sends: a batch never waits long for its frame.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Whether the open batch has to close before this packet.
    pub(super) fn is_over(&self, seq: u64, timestamp: u32, len: usize) -> bool {
        !self.packets.is_empty()
            && (timestamp != self.timestamp
                || seq != self.first_seq + self.packets.len() as u64
                || self.payload.len() + len > MAX_BYTES)
    }

    /// Appends a packet; true where the batch is full, its frame complete, or it has waited long enough.
    pub(super) fn push(
        &mut self,
        seq: u64,
        timestamp: u32,
        payload: &[u8],
        marker: bool,
        now: Instant,
    ) -> bool {
        if self.packets.is_empty() {
            self.first_seq = seq;
            self.timestamp = timestamp;
            self.first_at = Some(now);
        }
        self.append(payload, marker);
        self.last_at = Some(now);
        self.unfinished = !marker;
        let waited = self.picture && self.grows_old().is_some_and(|at| at <= now);
        marker || self.packets.len() >= MAX_PACKETS || waited
    }

    /// Whether more of the last packet's frame is on its way, whatever left already.
    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// There is more than parameter sets in the batch: silence may close it.
    pub(super) fn note_picture(&mut self) {
        self.picture = true;
    }

    /// A decoder can start with this batch.
    pub(super) fn note_keyframe(&mut self) {
        self.keyframe = true;
    }

    /// When silence closes the open batch.
    pub(super) fn closes_at(&self) -> Option<Instant> {
        if !self.picture || self.packets.is_empty() {
            return None;
        }
        let silence = if self.hurried {
            SILENCE_HURRIED
        } else {
            SILENCE
        };
        let silent = self.last_at? + silence;
        Some(self.grows_old().map_or(silent, |old| old.min(silent)))
    }

    fn grows_old(&self) -> Option<Instant> {
        let first_at = self.first_at.filter(|_| self.hurried)?;
        Some(first_at + OPEN_HURRIED)
    }

    /// Closes the open batch, if there is one.
    pub(super) fn close(&mut self) -> Option<Closed> {
        if self.packets.is_empty() {
            return None;
        }
        let closed = Closed {
            first_seq: self.first_seq,
            timestamp: self.timestamp,
            keyframe: self.keyframe,
            prepended: 0,
            payload: self.payload.as_slice().into(),
            packets: self.packets.as_slice().into(),
        };
        self.clear();
        Some(closed)
    }

    /// Throws the open batch away; how many packets were in it.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.packets.len() as u64;
        self.payload.clear();
        self.packets.clear();
        self.keyframe = false;
        self.picture = false;
        self.first_at = None;
        self.last_at = None;
        count
    }

    fn append(&mut self, payload: &[u8], marker: bool) {
        // UDP bounds a payload to 65,507 bytes and a batch to 64 KB plus one of them: neither number can overflow.
        self.packets.push(PacketSpan {
            offset: u32::try_from(self.payload.len()).unwrap_or(u32::MAX),
            len: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            marker,
        });
        self.payload.extend_from_slice(payload);
    }
}
