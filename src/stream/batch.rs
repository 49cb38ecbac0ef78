//! A frame batch: the packets of one frame, immutable once closed, shared by every viewer through one `Arc`.

use std::time::Instant;

use crate::rtp::Media;
use crate::rtp::codec::Codec;

/// One packet of a batch: where its payload stands in [`FrameBatch::payload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketSpan {
    /// First byte of the payload.
    pub offset: u32,
    /// Payload bytes (RTP header, padding and extensions already gone).
    pub len: u16,
    /// The RTP marker bit as viewers shall see it (always clear for audio).
    pub marker: bool,
}

/// The packets of one frame on the stream's own continuous line: packet `i` has sequence `first_seq + i`.
#[derive(Debug, Clone)]
pub struct FrameBatch {
    /// Video or audio.
    pub media: Media,
    /// The codec of the payloads.
    pub codec: Codec,
    /// Extended sequence number (never wraps) of the first packet on the stream's line of this media.
    pub first_seq: u64,
    /// RTP timestamp on the stream's line (codec clock, continuous across FFmpeg restarts).
    pub timestamp: u32,
    /// A decoder can start here: parameter sets included or in the packets just before it.
    pub keyframe: bool,
    /// When the batch closed.
    pub closed_at: Instant,
    /// Payload bytes of all packets, one after the other.
    pub payload: Box<[u8]>,
    /// The packets, in order; never empty.
    pub packets: Box<[PacketSpan]>,
}

impl FrameBatch {
    /// The payload of one packet.
    #[must_use]
    pub fn payload_of(&self, span: &PacketSpan) -> &[u8] {
        let start = span.offset as usize;
        &self.payload[start..start + usize::from(span.len)]
    }
}
