//! VP9 over RTP (RFC 9628): the payload descriptor and key frames, read from the frame header itself.
//!
//! FFmpeg writes one byte of descriptor with B and E only and P always clear, so that by the descriptor every frame
//! looks like a key frame: the uncompressed header behind it decides.

use super::{NotThisCodec, PayloadFacts};

const SHORT: NotThisCodec = NotThisCodec("truncated VP9 descriptor");

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let first = *payload.first().ok_or(SHORT)?;
    let frame = payload.get(descriptor_len(payload)?..).unwrap_or(&[]);
    if frame.is_empty() {
        return Err(NotThisCodec("VP9 descriptor without payload"));
    }
    let mut facts = PayloadFacts::default();
    let spatial_base = first & 0x20 == 0 || is_base_layer(payload);
    if first & 0x08 != 0 && spatial_base {
        facts.picture_start = true;
        if is_key_frame(frame)? {
            facts.keyframe_start = true;
            facts.sequence_header = true;
            facts.picture_header = true;
        }
    }
    Ok(facts)
}

/// §4.2: I P L F B E V Z, then what these announce.
fn descriptor_len(payload: &[u8]) -> Result<usize, NotThisCodec> {
    let first = payload[0];
    let (i, p, l, f, v) = (
        first & 0x80 != 0,
        first & 0x40 != 0,
        first & 0x20 != 0,
        first & 0x10 != 0,
        first & 0x02 != 0,
    );
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
        [first, second, ..] if first & 0x80 != 0 => 1 + if second & 0x80 != 0 { 2 } else { 1 },
        _ => 1,
    };
    payload.get(at).is_none_or(|layer| layer >> 1 & 7 == 0)
}

/// The uncompressed header (VP9 bitstream §6.2): marker, profile, show_existing_frame, frame_type, sync code.
fn is_key_frame(frame: &[u8]) -> Result<bool, NotThisCodec> {
    let first = frame[0];
    if first >> 6 != 2 {
        return Err(NotThisCodec("VP9 frame marker is missing"));
    }
    let profile = (first >> 5 & 1) | (first >> 3 & 2);
    // Profile 3 has a reserved zero bit in front of show_existing_frame.
    let shift = if profile == 3 { 2 } else { 3 };
    if first >> shift & 1 != 0 {
        return Ok(false);
    }
    if first >> (shift - 1) & 1 != 0 {
        return Ok(false);
    }
    // Then show_frame and error_resilient_mode end the first byte (profile 3: one bit later).
    let sync = if profile == 3 {
        let Some(&[_, b, c, d, e]) = frame.first_chunk() else {
            return Err(NotThisCodec("truncated VP9 key frame"));
        };
        u32::from_be_bytes([b, c, d, e]) >> 7 & 0x00ff_ffff
    } else {
        let &[_, b, c, d, ..] = frame else {
            return Err(NotThisCodec("truncated VP9 key frame"));
        };
        u32::from_be_bytes([0, b, c, d])
    };
    if sync == 0x49_8342 {
        Ok(true)
    } else {
        Err(NotThisCodec("VP9 key frame without its sync code"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_key_frames_are_told_from_its_others() {
        let key = inspect(&[0x08, 0x82, 0x49, 0x83, 0x42, 0x00, 0x13]).unwrap();
        assert!(key.keyframe_start && key.sequence_header);
        let delta = inspect(&[0x08, 0x86, 0x00, 0x40, 0x92]).unwrap();
        assert!(delta.picture_start && !delta.keyframe_start);
        assert!(!inspect(&[0x00, 0xfc, 0xd2]).unwrap().picture_start);
    }

    #[test]
    fn a_browsers_descriptor_is_skipped() {
        // I, B, V with a 15-bit PictureID; scalability structure with one size and one picture.
        let payload = [
            0x8a, 0x81, 0x02, 0x18, 1, 0x40, 0, 0xf0, 1, 0x04, 1, 0x82, 0x49, 0x83, 0x42, 0,
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
