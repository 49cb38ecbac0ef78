//! AV1 over RTP (AOM's RTP payload specification 1.0): the aggregation header, OBU headers, new coded sequences.

use super::{NotThisCodec, PayloadFacts};

const SEQUENCE_HEADER: u8 = 1;

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    // §4.4: Z (continues), Y (goes on), W (number of elements, 0: each has a length), N (new sequence), reserved.
    let (&head, mut rest) = payload.split_first().ok_or(NotThisCodec("empty payload"))?;
    let (z, y, w, n) = (
        head & 0x80 != 0,
        head & 0x40 != 0,
        head >> 4 & 3,
        head & 0x08 != 0,
    );
    if head & 0x07 != 0 || rest.is_empty() || (n && z) {
        return Err(NotThisCodec("invalid AV1 aggregation header"));
    }
    let mut facts = PayloadFacts {
        continues: z.then_some(0),
        unfinished: y.then_some(0),
        ..PayloadFacts::default()
    };
    let mut index = 0;
    while !rest.is_empty() {
        index += 1;
        let element = if w != 0 && index == w {
            std::mem::take(&mut rest)
        } else {
            let (size, tail) = leb128(rest).ok_or(NotThisCodec("truncated AV1 element"))?;
            let (element, tail) = tail
                .split_at_checked(size)
                .ok_or(NotThisCodec("truncated AV1 element"))?;
            rest = tail;
            element
        };
        if element.is_empty() || (z && index == 1) {
            continue;
        }
        // AV1 §5.3.2: forbidden bit, type, extension flag, has_size, reserved.
        if element[0] & 0x81 != 0 {
            return Err(NotThisCodec("invalid OBU header"));
        }
        match element[0] >> 3 & 15 {
            SEQUENCE_HEADER => {
                facts.sequence_header = true;
                facts.picture_header = true;
            }
            3 | 6 => facts.picture_start = true,
            // §5: temporal delimiters, tile lists and padding should not be sent; 4, 5, 7 are legal.
            2 | 4 | 5 | 7 | 8 | 15 => {}
            _ => return Err(NotThisCodec("reserved OBU type")),
        }
    }
    if w != 0 && index != w {
        return Err(NotThisCodec("AV1 element count is wrong"));
    }
    // A new coded video sequence starts with a key frame (§4.4); its frame may follow in a later packet.
    facts.keyframe_start = n && facts.sequence_header;
    facts.picture_start |= facts.keyframe_start;
    Ok(facts)
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sequence_starts_a_key_frame() {
        // W=2, N: sequence header of 3 bytes, then a frame.
        let facts = inspect(&[0x28, 3, 0x08, 0, 0, 0x30, 1, 2]).unwrap();
        assert!(facts.keyframe_start && facts.sequence_header && facts.picture_start);
        let delta = inspect(&[0x10, 0x30, 1, 2]).unwrap();
        assert!(delta.picture_start && !delta.keyframe_start);
        let fragment = inspect(&[0xd0, 0xff, 1]).unwrap();
        assert_eq!(
            (fragment.continues, fragment.unfinished),
            (Some(0), Some(0))
        );
    }

    #[test]
    fn what_breaks_the_framing_is_refused() {
        for broken in [
            &[][..],
            &[0x10],
            &[0x11, 0x30],
            &[0x88, 0x30],
            &[0x20, 9, 0x30],
            &[0x30, 1, 0x30],
            &[0x10, 0xb0],
            &[0x00, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(inspect(broken).is_err(), "{broken:02x?}");
        }
    }
}
