//! VP9 over RTP (RFC 9628): the payload descriptor and key frames, read from the frame header itself.
//!
//! FFmpeg writes one byte of descriptor with B and E only and P always clear, so that by the descriptor every frame
//! looks like a key frame: the uncompressed header behind it decides. [`Describer`](super::vp9_describe::Describer) gives
//! browsers a descriptor they can work with.

use super::bits::Bits;
use super::pictures::{Numbers, PictureId};
use super::{NotThisCodec, PayloadFacts};

/// Bits of the descriptor's first byte (RFC 9628 §4.2): PictureID, inter-predicted, layer indices, flexible mode, begin and
/// end of a frame, scalability structure.
pub(super) mod flag {
    pub(in super::super) const I: u8 = 0x80;
    pub(in super::super) const P: u8 = 0x40;
    pub(in super::super) const L: u8 = 0x20;
    pub(in super::super) const F: u8 = 0x10;
    pub(in super::super) const B: u8 = 0x08;
    pub(in super::super) const V: u8 = 0x02;
}

const SHORT: NotThisCodec = NotThisCodec("truncated VP9 descriptor");

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let first = *payload.first().ok_or(SHORT)?;
    let frame = payload.get(descriptor_len(payload)?..).unwrap_or(&[]);
    if frame.is_empty() {
        return Err(NotThisCodec("VP9 descriptor without payload"));
    }
    let mut facts = PayloadFacts::default();
    let spatial_base = first & flag::L == 0 || is_base_layer(payload);
    if first & flag::B != 0 && spatial_base {
        facts.picture_start = true;
        if let Some(key) = KeyFrame::parse(frame)? {
            facts.keyframe_start = true;
            facts.sequence_header = true;
            facts.picture_header = true;
            facts.profile_level_id = Some([key.profile, 0, 0]);
        }
    }
    Ok(facts)
}

/// Where the descriptor of a payload numbers its picture.
pub(super) fn numbers(payload: &[u8]) -> Option<Numbers> {
    descriptor_len(payload)
        .ok()
        .filter(|len| *len <= payload.len())?;
    let first = payload[0];
    let id = (first & flag::I != 0).then(|| PictureId::read(payload, 1))??;
    // §4.2: TL0PICIDX follows the layer indices, in non-flexible mode only.
    let tl0_at = (first & (flag::L | flag::F) == flag::L).then_some(id.end() + 1);
    Some((id, tl0_at))
}

/// §4.2: I P L F B E V Z, then what these announce.
pub(super) fn descriptor_len(payload: &[u8]) -> Result<usize, NotThisCodec> {
    let first = *payload.first().ok_or(SHORT)?;
    let [i, p, l, f, v] =
        [flag::I, flag::P, flag::L, flag::F, flag::V].map(|flag| first & flag != 0);
    let mut at = 1;
    if i {
        at += if payload.get(at).ok_or(SHORT)? & 0x80 != 0 {
            2
        } else {
            1
        };
    }
    if l {
        at += if f { 1 } else { 2 };
    }
    if f && p {
        // Up to three reference indices; N says that another follows.
        for left in (0..3).rev() {
            let more = payload.get(at).ok_or(SHORT)? & 1 != 0;
            at += 1;
            if !more {
                break;
            }
            if left == 0 {
                return Err(NotThisCodec("too many VP9 references"));
            }
        }
    }
    if v {
        // §4.2.1: N_S, Y, G; sizes; picture group.
        let head = *payload.get(at).ok_or(SHORT)?;
        at += 1;
        if head & 0x10 != 0 {
            at += 4 * (usize::from(head >> 5) + 1);
        }
        if head & 0x08 != 0 {
            let group = *payload.get(at).ok_or(SHORT)?;
            at += 1;
            for _ in 0..group {
                at += 1 + usize::from(payload.get(at).ok_or(SHORT)? >> 2 & 3);
            }
        }
    }
    Ok(at)
}

fn is_base_layer(payload: &[u8]) -> bool {
    let at = match payload {
        [first, second, ..] if first & flag::I != 0 => 1 + if second & 0x80 != 0 { 2 } else { 1 },
        _ => 1,
    };
    payload.get(at).is_none_or(|layer| layer >> 1 & 7 == 0)
}

/// What the uncompressed header of a key frame says (VP9 bitstream §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyFrame {
    pub(super) profile: u8,
    pub(super) width: u16,
    pub(super) height: u16,
}

impl KeyFrame {
    /// Reads the start of a frame: None where it is no key frame.
    pub(super) fn parse(frame: &[u8]) -> Result<Option<Self>, NotThisCodec> {
        const CUT: NotThisCodec = NotThisCodec("truncated VP9 frame header");
        let mut bits = Bits::raw(frame);
        if bits.number(2).ok_or(CUT)? != 2 {
            return Err(NotThisCodec("VP9 frame marker is missing"));
        }
        let (low, high) = (bits.flag().ok_or(CUT)?, bits.flag().ok_or(CUT)?);
        let profile = u8::from(low) | u8::from(high) << 1;
        if profile == 3 {
            bits.flag();
        }
        let show_existing = bits.flag().ok_or(CUT)?;
        if show_existing || bits.flag().ok_or(CUT)? {
            return Ok(None);
        }
        // show_frame, error_resilient_mode, frame_sync_code
        bits.number(2);
        if bits.number(24).ok_or(CUT)? != 0x49_8342 {
            return Err(NotThisCodec("VP9 key frame without its sync code"));
        }
        Self::sized(profile, bits).ok_or(CUT).map(Some)
    }

    /// color_config and frame_size.
    fn sized(profile: u8, mut bits: Bits<'_>) -> Option<Self> {
        const RGB: u32 = 7;
        if profile >= 2 {
            bits.flag()?;
        }
        let odd = profile & 1 != 0;
        if bits.number(3)? != RGB {
            bits.number(if odd { 4 } else { 1 })?;
        } else if odd {
            bits.flag()?;
        }
        // Minus one each.
        let (width, height) = (bits.number(16)? as u16, bits.number(16)? as u16);
        Some(Self {
            profile,
            width: width.saturating_add(1),
            height: height.saturating_add(1),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// FFmpeg 5.1.9 with libvpx-vp9, 640x360.
    const KEY: [u8; 11] = [
        0x08, 0x83, 0x49, 0x83, 0x42, 0, 0x27, 0xf0, 0x16, 0x70, 0x20,
    ];

    #[test]
    fn ffmpegs_key_frames_are_told_from_its_others() {
        let key = inspect(&KEY).unwrap();
        assert!(key.keyframe_start && key.sequence_header);
        assert_eq!(key.profile_level_id, Some([0, 0, 0]));
        let frame = KeyFrame::parse(&KEY[1..]).unwrap().unwrap();
        assert_eq!((frame.width, frame.height), (640, 360));
        let delta = inspect(&[0x08, 0x86, 0x00, 0x40, 0x92]).unwrap();
        assert!(delta.picture_start && !delta.keyframe_start);
        assert!(!inspect(&[0x00, 0xfc, 0xd2]).unwrap().picture_start);
    }

    #[test]
    fn a_browsers_descriptor_is_skipped() {
        // I, B, V with a 15-bit PictureID; scalability structure with one size and one picture.
        let payload = [
            0x8a, 0x81, 0x02, 0x18, 1, 0x40, 0, 0xf0, 1, 0x04, 1, 0x82, 0x49, 0x83, 0x42, 0, 0x27,
            0xf0, 0x16, 0x70,
        ];
        assert!(inspect(&payload).unwrap().keyframe_start);
    }

    #[test]
    fn other_codecs_are_refused() {
        assert!(inspect(&[]).is_err());
        assert!(inspect(&[0x08]).is_err());
        assert!(inspect(&[0x18, 0, 0x16, 0x67]).is_err());
        assert!(inspect(&[0x08, 0x82, 0x49, 0x83, 0x43]).is_err());
    }
}
