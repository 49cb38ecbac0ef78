//! VP8 over RTP (RFC 7741): the payload descriptor and key frames.

use super::pictures::{Numbers, PictureId};
use super::{NotThisCodec, PayloadFacts};

/// The payload descriptor (§4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes of the descriptor.
    pub len: usize,
    /// S: start of a partition.
    pub start: bool,
    /// PID: partition index.
    pub partition: u8,
    /// PictureID: where it stands and its value; `long` is the 15-bit form.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: where it stands.
    pub tl0_at: Option<usize>,
}

impl Descriptor {
    /// Reads the descriptor at the front of a payload.
    pub fn parse(payload: &[u8]) -> Result<Self, NotThisCodec> {
        const SHORT: NotThisCodec = NotThisCodec("truncated VP8 descriptor");
        let first = *payload.first().ok_or(SHORT)?;
        let mut descriptor = Self {
            len: 1,
            start: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: None,
            tl0_at: None,
        };
        let mut take = || {
            let at = descriptor.len;
            descriptor.len += 1;
            payload.get(at).map(|byte| (at, *byte)).ok_or(SHORT)
        };
        if first & 0x80 != 0 {
            let (_, extension) = take()?;
            if extension & 0x80 != 0 {
                let (at, high) = take()?;
                if high & 0x80 != 0 {
                    take()?;
                }
                descriptor.picture_id = PictureId::read(payload, at);
            }
            if extension & 0x40 != 0 {
                descriptor.tl0_at = Some(take()?.0);
            }
            if extension & 0x30 != 0 {
                take()?; // TID, Y, KEYIDX share a byte
            }
        }
        if descriptor.len >= payload.len() {
            return Err(NotThisCodec("VP8 descriptor without payload"));
        }
        Ok(descriptor)
    }
}

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let descriptor = Descriptor::parse(payload)?;
    // §4.2 lets a receiver ignore the R bits; every sender writes zeros, and H.264 in disguise does not.
    if payload[0] & 0x48 != 0 {
        return Err(NotThisCodec("reserved bits of the VP8 descriptor are set"));
    }
    let mut facts = PayloadFacts::default();
    if descriptor.start && descriptor.partition == 0 {
        // RFC 6386 §9.1: 3-byte frame tag; key frames go on with a start code and the dimensions.
        let frame = &payload[descriptor.len..];
        facts.picture_start = true;
        if frame[0] & 1 == 0 {
            let &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = frame else {
                return Err(NotThisCodec("VP8 key frame without its start code"));
            };
            if u16::from_le_bytes([w0, w1]) & 0x3fff == 0
                || u16::from_le_bytes([h0, h1]) & 0x3fff == 0
            {
                return Err(NotThisCodec("VP8 key frame without a size"));
            }
            facts.keyframe_start = true;
            facts.sequence_header = true;
            facts.picture_header = true;
        }
    }
    Ok(facts)
}

/// Where the descriptor of a payload numbers its picture.
pub(super) fn numbers(payload: &[u8]) -> Option<Numbers> {
    let descriptor = Descriptor::parse(payload).ok()?;
    Some((descriptor.picture_id?, descriptor.tl0_at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY: [u8; 14] = [
        0x90, 0x80, 0x80, 0, 0x70, 0x9d, 1, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0,
    ];

    #[test]
    fn a_key_frame_of_ffmpeg_is_told() {
        let facts = inspect(&KEY).unwrap();
        assert!(facts.keyframe_start && facts.sequence_header && facts.picture_header);
        let delta = inspect(&[0x90, 0x80, 0x80, 1, 0x71, 0x1c, 0]).unwrap();
        assert!(delta.picture_start && !delta.keyframe_start);
        let middle = inspect(&[0x80, 0x80, 0x80, 0, 0xc0, 1]).unwrap();
        assert!(!middle.picture_start);
    }

    #[test]
    fn other_codecs_and_broken_descriptors_are_refused() {
        for other in [
            &[][..],
            &[0x90],
            &[0x90, 0x80, 0x80, 0],
            &[0x90, 0xf0, 0x80, 0, 0],
            &[0x18, 0, 0x16, 0x67, 0x42],       // H.264 STAP-A
            &[0x7c, 0x85, 0x88, 0x84],          // H.264 FU-A
            &[0x10, 0x00, 0x00, 0x00, 0, 0, 0], // key frame by its bit, no start code
        ] {
            assert!(inspect(other).is_err(), "{other:02x?}");
        }
    }
}
