//! The RTP header (RFC 3550 §5.1): parse and write.

use std::ops::Range;

/// Bytes of a header without CSRCs and extension.
pub const HEADER_LEN: usize = 12;

/// What a header says. Padding, CSRCs and an extension were checked; where they end is [`Header::payload`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The M bit.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp in the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload stands in the packet: behind CSRCs and extension, before the padding. May be empty.
    pub payload: Range<usize>,
}

/// Why bytes are no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Shorter than what its header announces.
    #[error("RTP packet is truncated")]
    Truncated,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding is zero or longer than the payload.
    #[error("RTP padding is inconsistent")]
    Padding,
}

impl Header {
    /// Reads the header of one whole packet.
    pub fn parse(packet: &[u8]) -> Result<Self, HeaderError> {
        let fixed: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(HeaderError::Truncated)?;
        if fixed[0] >> 6 != 2 {
            return Err(HeaderError::Version);
        }
        let mut start = HEADER_LEN + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            // §5.3.1: profile (16 bits), length in 32-bit words (16 bits), then that many words.
            let words = packet
                .get(start + 2..start + 4)
                .ok_or(HeaderError::Truncated)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if start > packet.len() {
            return Err(HeaderError::Truncated);
        }
        let mut end = packet.len();
        if fixed[0] & 0x20 != 0 {
            // §5.1: the last octet counts the padding, itself included.
            let padding = usize::from(packet[end - 1]);
            if padding == 0 || padding > end - start {
                return Err(HeaderError::Padding);
            }
            end -= padding;
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            payload: start..end,
        })
    }
}

/// Writes a header without padding, extension and CSRCs.
pub fn write(
    out: &mut [u8; HEADER_LEN],
    payload_type: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
) {
    out[0] = 0x80;
    out[1] = (payload_type & 0x7f) | (u8::from(marker) << 7);
    out[2..4].copy_from_slice(&seq.to_be_bytes());
    out[4..8].copy_from_slice(&timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

/// Whether a datagram of a port that carries both is RTCP (RFC 5761 §4: second byte 192–223).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram
        .get(1)
        .is_some_and(|byte| (192..=223).contains(byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn csrcs_extension_and_padding_are_no_payload() {
        let mut packet = vec![0u8; HEADER_LEN];
        packet[0] = 0x80 | 0x20 | 0x10 | 2;
        packet[1] = 0x80 | 101;
        packet.extend([0; 8]); // two CSRCs
        packet.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // extension of one word
        packet.extend([1, 2, 3]);
        packet.extend([0, 2]); // padding of two
        let header = Header::parse(&packet).unwrap();
        assert_eq!(&packet[header.payload.clone()], &[1, 2, 3]);
        assert!(header.marker);
        assert_eq!(header.payload_type, 101);
    }

    #[test]
    fn what_is_inconsistent_is_refused() {
        let good = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(Header::parse(&good).unwrap().payload, 12..12);
        assert_eq!(Header::parse(&good[..11]), Err(HeaderError::Truncated));
        let with = |first: u8| {
            let mut packet = good.to_vec();
            packet[0] = first;
            packet
        };
        assert_eq!(Header::parse(&with(0x40)), Err(HeaderError::Version));
        assert_eq!(Header::parse(&with(0x81)), Err(HeaderError::Truncated));
        assert_eq!(Header::parse(&with(0x90)), Err(HeaderError::Truncated));
        // Padding without a payload to hold it.
        assert_eq!(Header::parse(&with(0xa0)), Err(HeaderError::Padding));
        let mut zero = with(0xa0);
        zero.push(0);
        assert_eq!(Header::parse(&zero), Err(HeaderError::Padding));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(header) = Header::parse(&packet) {
                prop_assert!(header.payload.start <= header.payload.end);
                prop_assert!(header.payload.end <= packet.len());
            }
            let _ = is_rtcp(&packet);
        }

        #[test]
        fn what_is_written_is_read(pt in 0u8..128, marker: bool, seq: u16, timestamp: u32, ssrc: u32) {
            let mut out = [0; HEADER_LEN];
            write(&mut out, pt, marker, seq, timestamp, ssrc);
            let header = Header::parse(&out).unwrap();
            prop_assert_eq!(header, Header { marker, payload_type: pt, seq, timestamp, ssrc, payload: 12..12 });
        }
    }
}
