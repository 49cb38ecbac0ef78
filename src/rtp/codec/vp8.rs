//! VP8 over RTP (RFC 7741): the payload descriptor, key frames, and PictureIDs that go on across FFmpeg's restarts.

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

/// A PictureID in a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// Offset of its first byte.
    pub at: usize,
    /// Its value, 7 or 15 bits.
    pub value: u16,
    /// Whether it has 15 bits.
    pub long: bool,
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
                descriptor.picture_id = Some(if high & 0x80 != 0 {
                    let (_, low) = take()?;
                    PictureId {
                        at,
                        value: u16::from_be_bytes([high & 0x7f, low]),
                        long: true,
                    }
                } else {
                    PictureId {
                        at,
                        value: u16::from(high),
                        long: false,
                    }
                });
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

/// Keeps PictureID and TL0PICIDX of a stream going where a new sender starts anew (FFmpeg: at 0 on every start).
///
/// Within one run the sender's own steps are kept, so that a lost frame stays visible as a gap.
#[derive(Debug, Clone, Default)]
pub struct PictureLine {
    shift: u16,
    tl0_shift: u8,
    last: Option<u16>,
    last_tl0: u8,
    anchored: bool,
}

impl PictureLine {
    /// The next payload is of a new sender.
    pub fn new_run(&mut self) {
        self.anchored = false;
    }

    /// Rewrites the descriptor of one payload in place. A payload without PictureID stays as it is.
    pub fn rewrite(&mut self, payload: &mut [u8]) {
        let Ok(descriptor) = Descriptor::parse(payload) else {
            return;
        };
        let Some(id) = descriptor.picture_id else {
            return;
        };
        let tl0 = descriptor.tl0_at.map(|at| payload[at]);
        if !self.anchored {
            self.anchored = true;
            let next = self.last.map_or(id.value, |last| last.wrapping_add(1));
            self.shift = next.wrapping_sub(id.value);
            let next_tl0 = self
                .last
                .map_or(tl0.unwrap_or(0), |_| self.last_tl0.wrapping_add(1));
            self.tl0_shift = next_tl0.wrapping_sub(tl0.unwrap_or(0));
        }
        let value = id.value.wrapping_add(self.shift) & 0x7fff;
        self.last = Some(value);
        if id.long {
            let [high, low] = value.to_be_bytes();
            payload[id.at] = high | 0x80;
            payload[id.at + 1] = low;
        } else {
            payload[id.at] = (value & 0x7f) as u8;
        }
        if let (Some(at), Some(tl0)) = (descriptor.tl0_at, tl0) {
            self.last_tl0 = tl0.wrapping_add(self.tl0_shift);
            payload[at] = self.last_tl0;
        }
    }
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

    #[test]
    fn picture_ids_go_on_where_a_new_sender_starts_at_zero() {
        let mut line = PictureLine::default();
        let send = |line: &mut PictureLine, id: u16| {
            let mut payload = KEY;
            payload[2..4].copy_from_slice(&(id | 0x8000).to_be_bytes());
            line.rewrite(&mut payload);
            Descriptor::parse(&payload)
                .unwrap()
                .picture_id
                .unwrap()
                .value
        };
        for (given, expected) in [(0x7ffe, 0x7ffe), (0x7ffe, 0x7ffe), (0x7fff, 0x7fff)] {
            assert_eq!(send(&mut line, given), expected);
        }
        line.new_run();
        // The wrap at 15 bits, then the sender's own gap of one.
        for (given, expected) in [(0, 0), (0, 0), (1, 1), (3, 3)] {
            assert_eq!(send(&mut line, given), expected);
        }
        line.new_run();
        assert_eq!(send(&mut line, 0), 4);
        assert_eq!(send(&mut line, 1), 5);
    }

    #[test]
    fn short_picture_ids_and_tl0picidx_go_on_too() {
        let mut line = PictureLine::default();
        let mut first = [0x90, 0xc0, 0x7f, 9, 0x71, 0, 0];
        line.rewrite(&mut first);
        assert_eq!(first[2..4], [0x7f, 9]);
        line.new_run();
        let mut second = [0x90, 0xc0, 0x00, 0, 0x71, 0, 0];
        line.rewrite(&mut second);
        assert_eq!(second[2..4], [0, 10]);
    }
}
