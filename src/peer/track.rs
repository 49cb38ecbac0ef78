//! One track a viewer receives: its SSRC and payload type, and how the stream's line becomes the viewer's own.

use crate::rtp::codec::Codec;
use crate::rtp::rtcp;

/// Octets of a fixed RTP header (RFC 3550 §5.1); viewers get no extension.
pub const HEADER_LEN: usize = 12;

/// What the answer promised for a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSetup {
    /// Our SSRC.
    pub ssrc: u32,
    /// What was answered: frames of another codec are not for this viewer.
    pub codec: Codec,
    /// The payload type of the client's offer.
    pub payload_type: u8,
    /// First sequence number; below 2^15, so that a loss near a wrap can't desynchronise roll-over counters
    /// (RFC 3711 §3.3.1).
    pub first_seq: u16,
    /// Added to the stream's RTP timestamps (RFC 3550 §5.1: random).
    pub timestamp_offset: u32,
}

/// The sending state of a track. There is no roll-over counter: it follows from the stream's sequence numbers, which
/// never wrap.
#[derive(Debug)]
pub struct Track {
    setup: TrackSetup,
    /// Added (wrapping) to a sequence number of the stream; set by the first frame.
    seq_offset: Option<u64>,
    packets: u32,
    octets: u32,
}

impl Track {
    /// A track that has sent nothing.
    #[must_use]
    pub fn new(setup: TrackSetup) -> Self {
        Self {
            setup,
            seq_offset: None,
            packets: 0,
            octets: 0,
        }
    }

    /// The codec that was answered.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.setup.codec
    }

    /// Our SSRC.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.setup.ssrc
    }

    /// Something was sent.
    #[must_use]
    pub fn started(&self) -> bool {
        self.seq_offset.is_some()
    }

    /// The first packet will be the stream's `stream_seq`.
    pub fn start(&mut self, stream_seq: u64) {
        self.seq_offset = Some(u64::from(self.setup.first_seq).wrapping_sub(stream_seq));
    }

    /// The SRTP index (roll-over counter and sequence number, RFC 3711 §3.3.1) of the stream's packet `stream_seq`;
    /// None before the start, and for packets from before it.
    #[must_use]
    pub fn index(&self, stream_seq: u64) -> Option<u64> {
        let index = stream_seq.wrapping_add(self.seq_offset?);
        (index < 1 << 48).then_some(index)
    }

    /// The header of a packet (RFC 3550 §5.1).
    #[inline]
    #[must_use]
    pub fn header(&self, index: u64, stream_timestamp: u32, marker: bool) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[0] = 0x80;
        header[1] = u8::from(marker) << 7 | self.setup.payload_type;
        header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp(stream_timestamp).to_be_bytes());
        header[8..12].copy_from_slice(&self.setup.ssrc.to_be_bytes());
        header
    }

    /// Counts what was sent, for sender reports.
    #[inline]
    pub fn count(&mut self, packets: u32, payload_octets: u32) {
        self.packets = self.packets.wrapping_add(packets);
        self.octets = self.octets.wrapping_add(payload_octets);
    }

    /// Appends a sender report and the CNAME (RFC 3550 §6.4.1, §6.5): `stream_timestamp` is the stream's at `ntp`.
    pub fn write_report(&self, out: &mut Vec<u8>, ntp: u64, stream_timestamp: u32, cname: &str) {
        let timestamp = self.timestamp(stream_timestamp);
        rtcp::write_sender_report(
            out,
            self.setup.ssrc,
            ntp,
            timestamp,
            self.packets,
            self.octets,
        );
        rtcp::write_sdes_cname(out, self.setup.ssrc, cname);
    }

    fn timestamp(&self, stream_timestamp: u32) -> u32 {
        stream_timestamp.wrapping_add(self.setup.timestamp_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Track {
        let setup = TrackSetup {
            ssrc: 0x0102_0304,
            codec: Codec::H264,
            payload_type: 96,
            first_seq: 0x7fff,
            timestamp_offset: u32::MAX,
        };
        Track::new(setup)
    }

    #[test]
    fn the_roll_over_counter_follows_from_the_streams_sequence() {
        let mut track = track();
        assert_eq!(track.index(1_000_000), None);
        track.start(1_000_000);
        assert_eq!(track.index(1_000_000), Some(0x7fff));
        assert_eq!(track.index(1_000_000 + 0x8000), Some(0x7fff + 0x8000));
        assert_eq!(
            track.index(1_000_000 + 0x8001),
            Some(0x1_0000),
            "first packet of the second round"
        );
        assert_eq!(track.index(0), None, "from before the start");
    }

    #[test]
    fn headers_are_the_viewers_own() {
        let mut track = track();
        track.start(5);
        let header = track.header(track.index(6).unwrap(), 10, true);
        assert_eq!(
            header,
            [0x80, 0x80 | 96, 0x80, 0x00, 0, 0, 0, 9, 1, 2, 3, 4]
        );
    }
}
