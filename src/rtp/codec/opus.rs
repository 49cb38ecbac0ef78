//! Opus over RTP (RFC 7587): a payload is one Opus packet (RFC 6716 §3); its TOC byte tells its duration.

use super::{NotThisCodec, PayloadFacts};

/// Longest frame of the format (RFC 6716 §3.4 R2).
const FRAME_MAX: usize = 1275;

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    duration_ticks(payload)?;
    Ok(PayloadFacts {
        sequence_header: true,
        picture_header: true,
        picture_start: true,
        keyframe_start: true,
        ..PayloadFacts::default()
    })
}

/// How long a packet plays, in ticks of 48 kHz; refuses what RFC 6716 §3.4 calls malformed.
pub fn duration_ticks(packet: &[u8]) -> Result<u32, NotThisCodec> {
    let (&toc, rest) = packet
        .split_first()
        .ok_or(NotThisCodec("empty Opus packet"))?;
    let frame = frame_ticks(toc >> 3);
    let frames = match toc & 3 {
        0 if rest.len() <= FRAME_MAX => 1,
        1 if rest.len() % 2 == 0 && rest.len() / 2 <= FRAME_MAX => 2,
        2 => {
            let (first, header) = match *rest {
                [short, ..] if short < 252 => (usize::from(short), 1),
                [low, high, ..] => (usize::from(high) * 4 + usize::from(low), 2),
                _ => return Err(NotThisCodec("truncated Opus packet")),
            };
            let left = rest.len().checked_sub(header + first);
            if left.is_none_or(|left| left > FRAME_MAX) {
                return Err(NotThisCodec("truncated Opus packet"));
            }
            2
        }
        3 => u32::from(*rest.first().ok_or(NotThisCodec("truncated Opus packet"))? & 0x3f),
        _ => return Err(NotThisCodec("Opus frames of impossible size")),
    };
    // R5: at least one frame, at most 120 ms.
    if frames == 0 || frames * frame > 5760 {
        return Err(NotThisCodec("Opus packet of impossible duration"));
    }
    Ok(frames * frame)
}

/// RFC 6716 table 2, in ticks of 48 kHz.
fn frame_ticks(config: u8) -> u32 {
    match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_toc() {
        assert_eq!(duration_ticks(&[0xfc, 1, 2]), Ok(960)); // CELT, 20 ms, stereo
        assert_eq!(duration_ticks(&[0x78, 1]), Ok(960)); // hybrid, 20 ms
        assert_eq!(duration_ticks(&[0x00, 1]), Ok(480));
        assert_eq!(duration_ticks(&[0xf9, 1, 2]), Ok(1920));
        assert_eq!(duration_ticks(&[0xfb, 3, 1]), Ok(2880));
        assert_eq!(duration_ticks(&[0xfa, 1, 2, 3]), Ok(1920));
    }

    #[test]
    fn malformed_packets_are_refused() {
        for broken in [
            &[][..],
            &[0xf9, 1],
            &[0xfa],
            &[0xfa, 9, 1],
            &[0xfb],
            &[0xfb, 0],
            &[0xfb, 48],
            &[0x1b, 3],
        ] {
            assert!(duration_ticks(broken).is_err(), "{broken:02x?}");
        }
        assert!(duration_ticks(&[0; 1400]).is_err());
    }
}
