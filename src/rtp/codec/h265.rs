//! H.265 over RTP (RFC 7798): single NAL units, aggregation packets, fragmentation units, without DONL.

use super::bits::Bits;
use super::{NotThisCodec, PayloadFacts};

use self::nal::{AP, FU, PPS, SPS, VPS};

/// NAL unit types (H.265 table 7-1, RFC 7798 §4.4).
pub mod nal {
    #![allow(missing_docs, reason = "the standard's own names")]
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const AP: u8 = 48;
    pub const FU: u8 = 49;
}

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let mut facts = PayloadFacts::default();
    match unit_type(payload)? {
        AP => {
            // §4.4.2: 16-bit size, NAL unit; at least two of them.
            let mut rest = &payload[2..];
            let mut units = 0;
            while !rest.is_empty() {
                let (size, tail) = rest
                    .split_first_chunk::<2>()
                    .ok_or(NotThisCodec("truncated AP"))?;
                let (unit, tail) = tail
                    .split_at_checked(usize::from(u16::from_be_bytes(*size)))
                    .ok_or(NotThisCodec("truncated AP"))?;
                let kind = unit_type(unit)?;
                if kind >= AP {
                    return Err(NotThisCodec("aggregate inside an AP"));
                }
                note(kind, &unit[2..], &mut facts);
                units += 1;
                rest = tail;
            }
            if units == 0 {
                return Err(NotThisCodec("empty AP"));
            }
        }
        FU => {
            // §4.4.3: payload header, FU header (S, E, type), fragment.
            let &[_, _, fu, ref fragment @ ..] = payload else {
                return Err(NotThisCodec("truncated FU"));
            };
            let (start, end, kind) = (fu & 0x80 != 0, fu & 0x40 != 0, fu & 0x3f);
            if fragment.is_empty() || (start && end) || kind >= AP {
                return Err(NotThisCodec("inconsistent FU"));
            }
            if start {
                note(kind, fragment, &mut facts);
            } else {
                facts.continues = Some(kind);
            }
            facts.unfinished = (!end).then_some(kind);
        }
        kind => note(kind, &payload[2..], &mut facts),
    }
    Ok(facts)
}

/// The NAL units that stand whole in a payload: itself, or the parts of an AP.
pub fn whole_units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let kind = kind_of(payload);
    let mut rest = match kind {
        Some(AP) => payload.get(2..).unwrap_or(&[]),
        None | Some(FU) => &[],
        Some(_) => payload,
    };
    std::iter::from_fn(move || {
        if kind != Some(AP) {
            return (!rest.is_empty()).then(|| std::mem::take(&mut rest));
        }
        let (size, tail) = rest.split_first_chunk::<2>()?;
        let (unit, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        rest = tail;
        Some(unit)
    })
}

/// The type a NAL unit or payload has by its header.
#[must_use]
pub fn kind_of(unit: &[u8]) -> Option<u8> {
    unit.first().map(|first| first >> 1 & 0x3f)
}

/// §1.1.4: forbidden bit, type, layer, temporal id plus one (never zero).
fn unit_type(unit: &[u8]) -> Result<u8, NotThisCodec> {
    let &[first, second, _, ..] = unit else {
        return Err(NotThisCodec("truncated NAL unit"));
    };
    let layer = (first & 1) << 5 | second >> 3;
    if first & 0x80 != 0 || layer != 0 || second & 7 == 0 {
        return Err(NotThisCodec("invalid NAL unit header"));
    }
    match first >> 1 {
        kind @ (0..=9 | 16..=21 | 32..=40 | AP | FU) => Ok(kind),
        _ => Err(NotThisCodec("reserved NAL unit type")),
    }
}

fn note(kind: u8, body: &[u8], facts: &mut PayloadFacts) {
    match kind {
        0..=9 => facts.picture_start |= is_first_slice(body),
        16..=21 => {
            // IRAP: BLA, IDR, CRA
            facts.picture_start |= is_first_slice(body);
            facts.keyframe_start |= is_first_slice(body);
        }
        VPS => facts.other_header = true,
        SPS => {
            facts.sequence_header = true;
            facts.profile_level_id = profile_tier_level(body).or(facts.profile_level_id);
        }
        PPS => facts.picture_header = true,
        _ => {}
    }
}

/// general_profile_idc, general_tier_flag and general_level_idc of an SPS (H.265 §7.3.2.2.1, §7.3.3).
fn profile_tier_level(body: &[u8]) -> Option<[u8; 3]> {
    let mut bits = Bits::new(body);
    bits.number(8)?; // sps_video_parameter_set_id, sps_max_sub_layers_minus1, sps_temporal_id_nesting_flag
    bits.number(2)?; // general_profile_space
    let tier = u8::from(bits.flag()?);
    let profile = bits.number(5)? as u8;
    bits.number(32)?; // general_profile_compatibility_flag
    bits.number(32)?; // constraint flags, 48 bits
    bits.number(16)?;
    Some([profile, tier, bits.number(8)? as u8])
}

/// first_slice_segment_in_pic_flag
fn is_first_slice(body: &[u8]) -> bool {
    body.first().is_some_and(|byte| byte & 0x80 != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_and_an_idr_are_told() {
        // AP of VPS, SPS, PPS as FFmpeg starts a stream (cut to the headers).
        let ap = [
            0x60, 1, 0, 4, 0x40, 1, 0x0c, 1, 0, 4, 0x42, 1, 1, 1, 0, 4, 0x44, 1, 0xc0, 0x73,
        ];
        let facts = inspect(&ap).unwrap();
        assert!(facts.sequence_header && facts.picture_header && !facts.picture_start);
        let idr = inspect(&[0x62, 1, 0x94, 0xac, 0x74]).unwrap();
        assert!(idr.keyframe_start);
        assert_eq!(idr.unfinished, Some(20));
        assert!(!inspect(&[0x02, 1, 0xd0, 9]).unwrap().keyframe_start);
    }

    #[test]
    fn an_sps_tells_profile_tier_and_level() {
        // libx265 through FFmpeg: Main, level 2.0, with emulation prevention in the constraint flags.
        let sps = [
            0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a,
        ];
        assert_eq!(inspect(&sps).unwrap().profile_level_id, Some([1, 0, 60]));
        assert_eq!(inspect(&sps[..9]).unwrap().profile_level_id, None);
    }

    #[test]
    fn whole_units_are_found_in_all_three_forms() {
        let ap = [0x60, 1, 0, 3, 0x40, 1, 9, 0, 3, 0x42, 1, 8];
        let kinds: Vec<_> = whole_units(&ap)
            .map(|unit| kind_of(unit).unwrap())
            .collect();
        assert_eq!(kinds, [VPS, SPS]);
        assert_eq!(whole_units(&[0x44, 1, 7]).count(), 1);
        assert_eq!(whole_units(&[0x62, 1, 0x94, 1]).count(), 0);
        assert_eq!(whole_units(&[]).count(), 0);
    }

    #[test]
    fn h264_and_mpeg4_are_refused() {
        for other in [
            &[0x67u8, 0x42, 0xc0][..],
            &[0x7c, 0x85, 0x88],
            &[0x18, 0, 0x16, 0x67],
            &[0, 0, 1, 0xb6],
            &[0x62],
            &[0x62, 1, 0xd4, 1],
        ] {
            assert!(inspect(other).is_err(), "{other:02x?}");
        }
    }
}
