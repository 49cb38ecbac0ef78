//! One track a viewer receives: its SSRC and payload type, and how the stream's line becomes the viewer's own.

use crate::rtp::codec::Codec;
use crate::rtp::codec::pictures::PictureShift;
use crate::rtp::rtcp;

/// Octets of a fixed RTP header (RFC 3550 §5.1); an extension, for viewers that answer it, follows it.
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
    /// Where lost packets are sent again (RFC 4588); None: on the track's own SSRC.
    pub rtx: Option<RtxSetup>,
}

/// The source of a track's retransmissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtxSetup {
    /// Its SSRC.
    pub ssrc: u32,
    /// The payload type of the client's offer.
    pub payload_type: u8,
    /// First sequence number; below 2^15.
    pub first_seq: u16,
}

/// The sending state of a track. There is no roll-over counter: it follows from the stream's sequence numbers, which
/// never wrap.
#[derive(Debug)]
pub struct Track {
    setup: TrackSetup,
    line: Option<Line>,
    /// SRTP index the next packet may have; all below are used up, sent or not.
    next_index: u64,
    next_rtx_index: u64,
    pictures: PictureShift,
    packets: u32,
    octets: u32,
}

/// How the stream's sequence numbers become the viewer's, from one packet on.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Added (wrapping) to a sequence number of the stream.
    offset: u64,
    /// SRTP index of the line's first packet.
    first_index: u64,
}

/// Where a packet sent again goes: its header and its SRTP index.
pub struct Again {
    /// The header.
    pub header: [u8; HEADER_LEN],
    /// The index.
    pub index: u64,
    /// What stands in front of the payload (RFC 4588 §4: the original sequence number).
    pub osn: Option<[u8; 2]>,
}

impl Track {
    /// A track that has sent nothing.
    #[must_use]
    pub fn new(setup: TrackSetup) -> Self {
        Self {
            setup,
            line: None,
            next_index: u64::from(setup.first_seq),
            next_rtx_index: setup.rtx.map_or(0, |rtx| u64::from(rtx.first_seq)),
            pictures: PictureShift::default(),
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

    /// It has begun, and goes on with whatever comes next.
    #[must_use]
    pub fn started(&self) -> bool {
        self.line.is_some()
    }

    /// The next packet will be the stream's `stream_seq`: the viewer sees no gap, whatever was sent before.
    pub fn start(&mut self, stream_seq: u64) {
        self.line = Some(Line {
            offset: self.next_index.wrapping_sub(stream_seq),
            first_index: self.next_index,
        });
    }

    /// Has to be started anew, elsewhere in the stream. What was sent up to here can't be repaired any more.
    pub fn stop(&mut self) {
        self.line = None;
    }

    /// The picture of payload `again` will be sent once more, behind that of `last`: where pictures are numbered in the
    /// payload, this viewer's go on.
    pub fn repeat(&mut self, again: &[u8], last: &[u8]) {
        self.pictures = self.pictures.so_that(self.setup.codec, again, last);
    }

    /// How payloads have to be changed for this viewer; None: not at all, as for nearly all viewers.
    #[inline]
    #[must_use]
    pub fn pictures(&self) -> Option<PictureShift> {
        (!self.pictures.is_zero()).then_some(self.pictures)
    }

    /// The stream's packets up to `stream_end` (not included) are about to be sent: their indices are used up.
    #[inline]
    pub fn reach(&mut self, stream_end: u64) {
        if let Some(line) = self.line {
            self.next_index = self.next_index.max(stream_end.wrapping_add(line.offset));
        }
    }

    /// The SRTP index (roll-over counter and sequence number, RFC 3711 §3.3.1) of the stream's packet `stream_seq`;
    /// None before the start, and for packets from before it.
    #[inline]
    #[must_use]
    pub fn index(&self, stream_seq: u64) -> Option<u64> {
        let line = self.line?;
        let index = stream_seq.wrapping_add(line.offset);
        (line.first_index..1 << 48)
            .contains(&index)
            .then_some(index)
    }

    /// The stream's packet that the viewer knows as `seq`: the newest one of that number that was sent.
    #[must_use]
    pub fn stream_seq(&self, seq: u16) -> Option<u64> {
        let line = self.line?;
        let newest = self.next_index.checked_sub(1)?;
        let back = u64::from((newest as u16).wrapping_sub(seq));
        let index = newest.checked_sub(back).filter(|_| back < 0x8000)?;
        (index >= line.first_index).then(|| index.wrapping_sub(line.offset))
    }

    /// How the stream's packet `stream_seq`, sent before, is sent again: on the retransmission's own SSRC, else as
    /// what it was to the last bit, since a nonce must never see another byte.
    pub fn again(&mut self, stream_seq: u64, stream_timestamp: u32, marker: bool) -> Option<Again> {
        let index = self
            .index(stream_seq)
            .filter(|index| *index < self.next_index)?;
        let mut header = self.header(index, stream_timestamp, marker);
        let Some(rtx) = self.setup.rtx else {
            return Some(Again {
                header,
                index,
                osn: None,
            });
        };
        let rtx_index = self.next_rtx_index;
        self.next_rtx_index += 1;
        header[1] = u8::from(marker) << 7 | rtx.payload_type;
        header[2..4].copy_from_slice(&(rtx_index as u16).to_be_bytes());
        header[8..12].copy_from_slice(&rtx.ssrc.to_be_bytes());
        Some(Again {
            header,
            index: rtx_index,
            osn: Some((index as u16).to_be_bytes()),
        })
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

    /// The sequence number of the next packet.
    #[must_use]
    pub fn next_seq(&self) -> u16 {
        self.next_index as u16
    }

    /// Packets sent; wraps.
    #[must_use]
    pub fn packets(&self) -> u32 {
        self.packets
    }

    /// Payload bytes sent; wraps.
    #[must_use]
    pub fn octets(&self) -> u32 {
        self.octets
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
            rtx: None,
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
    fn a_number_the_viewer_knows_leads_to_the_newest_packet_that_was_sent_under_it() {
        let mut track = track();
        assert_eq!(track.stream_seq(0x7fff), None);
        track.start(1000);
        assert_eq!(track.stream_seq(0x7fff), None, "nothing sent yet");
        track.reach(1000 + 10);
        assert_eq!(track.stream_seq(0x7fff), Some(1000));
        assert_eq!(track.stream_seq(0x8008), Some(1009));
        assert_eq!(track.stream_seq(0x8009), None, "not sent yet");
        assert_eq!(track.stream_seq(0x7ffe), None, "from before the start");
        track.reach(1000 + 0x1_0000);
        assert_eq!(track.stream_seq(0x7ffe), Some(1000 + 0xffff));
        assert_eq!(
            track.stream_seq(0x7fff),
            None,
            "half a turn ago is too long"
        );
        assert_eq!(track.stream_seq(0x8000 + 0x7fff), Some(1000 + 0x8000));
    }

    #[test]
    fn a_new_beginning_follows_without_a_gap_and_no_index_comes_twice() {
        let mut track = track();
        track.start(1000);
        track.reach(1010);
        track.stop();
        assert!(!track.started());
        assert_eq!(track.index(1005), None);
        // Back to an older packet, as an answer to a PLI: under new indices.
        track.start(990);
        track.reach(995);
        assert_eq!(track.index(990), Some(0x7fff + 10));
        assert_eq!(track.index(989), None);
        assert_eq!(
            track.stream_seq((0x7fff + 9) as u16),
            None,
            "of the line before"
        );
        assert_eq!(track.stream_seq((0x7fff + 10) as u16), Some(990));
        assert!(track.again(996, 0, false).is_none(), "not sent yet");
    }

    #[test]
    fn a_packet_is_sent_again_as_rtx_or_as_it_was() {
        let mut track = track();
        track.start(0);
        track.reach(3);
        let again = track.again(2, 9, true).unwrap();
        assert_eq!(again.header, track.header(track.index(2).unwrap(), 9, true));
        assert_eq!((again.index, again.osn), (0x8001, None));
        track.setup.rtx = Some(RtxSetup {
            ssrc: 0x0a0b_0c0d,
            payload_type: 97,
            first_seq: 0,
        });
        track.next_rtx_index = 0xffff;
        let again = track.again(2, 9, true).unwrap();
        assert_eq!(again.osn, Some([0x80, 0x01]));
        assert_eq!(
            again.header,
            [
                0x80,
                0x80 | 97,
                0xff,
                0xff,
                0,
                0,
                0,
                8,
                0x0a,
                0x0b,
                0x0c,
                0x0d
            ]
        );
        let second = track.again(2, 9, true).unwrap();
        assert_eq!(second.index, 0x1_0000, "its own roll-over counter");
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
