//! H.264 over RTP (RFC 6184): NAL units, STAP-A, FU-A, the parameter sets in them.
//!
//! Packetization mode 1 as FFmpeg sends it and browsers take it: types 25–27 and 29 of the interleaved mode, reserved
//! types and data partitioning (no browser's profile has it, but every second HEVC header looks like it) are refused.

use super::bits::Bits;
use super::{NotThisCodec, PayloadFacts};

/// NAL unit types (H.264 table 7-1, RFC 6184 table 1).
pub mod nal {
    #![allow(missing_docs, reason = "the standard's own names")]
    pub const SLICE: u8 = 1;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const STAP_A: u8 = 24;
    pub const FU_A: u8 = 28;
}

/// Longest SPS taken for one: real ones have 10–100 bytes, scaling lists and all.
const SPS_MAX: usize = 512;

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let mut facts = PayloadFacts::default();
    let first = *payload.first().ok_or(NotThisCodec("empty payload"))?;
    match unit_type(first)? {
        nal::STAP_A => {
            // §5.7.1: 16-bit size, NAL unit, and again.
            let mut rest = &payload[1..];
            if rest.is_empty() {
                return Err(NotThisCodec("empty STAP-A"));
            }
            while !rest.is_empty() {
                let (size, tail) = rest
                    .split_first_chunk::<2>()
                    .ok_or(NotThisCodec("truncated STAP-A"))?;
                let size = usize::from(u16::from_be_bytes(*size));
                if size == 0 || size > tail.len() {
                    return Err(NotThisCodec("truncated STAP-A"));
                }
                let (unit, tail) = tail.split_at(size);
                if unit_type(unit[0])? >= nal::STAP_A {
                    return Err(NotThisCodec("aggregate inside a STAP-A"));
                }
                read_unit(unit, true, &mut facts)?;
                rest = tail;
            }
        }
        nal::FU_A => {
            // §5.8: indicator, header (S, E, R, type), fragment.
            let &[_, fu, ref fragment @ ..] = payload else {
                return Err(NotThisCodec("truncated FU-A"));
            };
            let (start, end, kind) = (fu & 0x80 != 0, fu & 0x40 != 0, fu & 0x1f);
            if fragment.is_empty() || (start && end) || fu & 0x20 != 0 {
                return Err(NotThisCodec("inconsistent FU-A"));
            }
            if unit_type(kind)? >= nal::STAP_A {
                return Err(NotThisCodec("aggregate inside a FU-A"));
            }
            if start {
                // The unit's own header is spread over indicator and FU header; only the type matters below.
                read_fragment(kind, fragment, &mut facts);
            } else {
                facts.continues = Some(kind);
            }
            facts.unfinished = (!end).then_some(kind);
        }
        _ => read_unit(payload, false, &mut facts)?,
    }
    Ok(facts)
}

/// The NAL units that stand whole in a payload: itself, or the parts of a STAP-A.
pub fn whole_units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let aggregate = payload
        .first()
        .is_some_and(|byte| byte & 0x1f == nal::STAP_A);
    let fragment = payload.first().is_some_and(|byte| byte & 0x1f == nal::FU_A);
    let mut rest = if aggregate {
        &payload[1..]
    } else if fragment {
        &[]
    } else {
        payload
    };
    std::iter::from_fn(move || {
        if !aggregate {
            return (!rest.is_empty()).then(|| std::mem::take(&mut rest));
        }
        let (size, tail) = rest.split_first_chunk::<2>()?;
        let (unit, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        rest = tail;
        Some(unit)
    })
}

/// The type of a NAL unit header, where this packetization allows it.
fn unit_type(header: u8) -> Result<u8, NotThisCodec> {
    if header & 0x80 != 0 {
        return Err(NotThisCodec("forbidden_zero_bit is set"));
    }
    match header & 0x1f {
        kind @ (1 | 5..=12 | nal::STAP_A | nal::FU_A) => Ok(kind),
        // Prefix, subset SPS, auxiliary and extension slices: legal beside an H.264 base layer.
        kind @ (13..=15 | 19 | 20) => Ok(kind),
        _ => Err(NotThisCodec("reserved NAL unit type")),
    }
}

fn read_unit(unit: &[u8], aggregated: bool, facts: &mut PayloadFacts) -> Result<(), NotThisCodec> {
    let kind = unit_type(unit[0])?;
    match kind {
        nal::SPS => {
            let sps = Sps::parse(&unit[1..]).ok_or(NotThisCodec("SPS does not parse"))?;
            facts.sequence_header = true;
            facts.profile_level_id = Some(sps.profile_level_id);
        }
        nal::PPS => facts.picture_header |= unit.len() > 1,
        _ if unit.len() < 2 && !aggregated => return Err(NotThisCodec("empty NAL unit")),
        _ => read_fragment(kind, &unit[1..], facts),
    }
    Ok(())
}

/// The start of a unit behind its header byte, whole or a first fragment.
fn read_fragment(kind: u8, body: &[u8], facts: &mut PayloadFacts) {
    match kind {
        nal::IDR => {
            facts.picture_start = true;
            facts.keyframe_start = true;
        }
        nal::SLICE => {
            facts.picture_start = true;
            facts.intra_start |= is_intra_slice(body).unwrap_or(false);
        }
        // A parameter set in fragments: the first one reaches past what is read of it.
        nal::SPS => {
            if let Some(sps) = Sps::parse(body) {
                facts.sequence_header = true;
                facts.profile_level_id = Some(sps.profile_level_id);
            }
        }
        nal::PPS => facts.picture_header = true,
        _ => {}
    }
}

/// H.264 §7.3.3: first_mb_in_slice, slice_type (2 and 7 are I).
fn is_intra_slice(body: &[u8]) -> Option<bool> {
    let mut bits = Bits::new(body);
    bits.ue()?;
    Some(matches!(bits.ue()?, 2 | 7))
}

/// What is read of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// profile_idc, constraint flags, level_idc.
    pub profile_level_id: [u8; 3],
    /// Width in macroblocks.
    pub width_mbs: u32,
    /// Height in map units.
    pub height_map_units: u32,
}

impl Sps {
    /// Reads `body`, the unit behind its header byte, up to the picture size (H.264 §7.3.2.1.1). None where a field is
    /// out of the range the standard gives it, which is how random bytes are told apart.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > SPS_MAX {
            return None;
        }
        let &profile_level_id: &[u8; 3] = body.first_chunk()?;
        let [profile, constraints, level] = profile_level_id;
        if constraints & 0x03 != 0 || !(9..=62).contains(&level) {
            return None;
        }
        let mut bits = Bits::new(&body[3..]);
        at_most(bits.ue()?, 31)?; // seq_parameter_set_id
        match profile {
            66 | 77 | 88 => {}
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135 => {
                let chroma = at_most(bits.ue()?, 3)?;
                if chroma == 3 {
                    bits.flag()?;
                }
                at_most(bits.ue()?, 6)?;
                at_most(bits.ue()?, 6)?;
                bits.flag()?;
                if bits.flag()? {
                    for list in 0..if chroma == 3 { 12 } else { 8 } {
                        if bits.flag()? {
                            skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                        }
                    }
                }
            }
            _ => return None,
        }
        at_most(bits.ue()?, 12)?; // log2_max_frame_num_minus4
        match at_most(bits.ue()?, 2)? {
            0 => {
                at_most(bits.ue()?, 12)?;
            }
            1 => {
                bits.flag()?;
                bits.se()?;
                bits.se()?;
                for _ in 0..at_most(bits.ue()?, 255)? {
                    bits.se()?;
                }
            }
            _ => {}
        }
        at_most(bits.ue()?, 16)?; // max_num_ref_frames
        bits.flag()?;
        let width_mbs = at_most(bits.ue()?, 1023)? + 1;
        let height_map_units = at_most(bits.ue()?, 1023)? + 1;
        Some(Self {
            profile_level_id,
            width_mbs,
            height_map_units,
        })
    }
}

fn at_most(value: u32, limit: u32) -> Option<u32> {
    (value <= limit).then_some(value)
}

/// H.264 §7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()? + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "h264_tests.rs"]
mod tests;
