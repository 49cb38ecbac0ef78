//! AV1 over RTP (AOM's RTP payload specification 1.0): the aggregation header, OBU headers, key frames.

use super::bits::Bits;
use super::{NotThisCodec, PayloadFacts};

/// OBU types (AV1 §6.2.2).
mod obu {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const FRAME_HEADER: u8 = 3;
    pub(super) const FRAME: u8 = 6;
}

/// The aggregation header of a packet that holds one element and starts a coded video sequence (§4.4: W = 1, N).
pub const ONE_ELEMENT_NEW_SEQUENCE: u8 = 0x18;

/// §4.4: Z (continues), Y (goes on), W (number of elements, 0: each has a length), N (new sequence).
#[derive(Debug, Clone, Copy)]
struct Aggregation {
    continues: bool,
    unfinished: bool,
    count: u8,
}

/// Reads one payload.
pub fn inspect(payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    let (&head, rest) = payload.split_first().ok_or(NotThisCodec("empty payload"))?;
    let (aggregation, new_sequence) = (Aggregation::of(head), head & 0x08 != 0);
    if head & 0x07 != 0 || rest.is_empty() || (new_sequence && aggregation.continues) {
        return Err(NotThisCodec("invalid AV1 aggregation header"));
    }
    let mut facts = PayloadFacts {
        continues: aggregation.continues.then_some(0),
        unfinished: aggregation.unfinished.then_some(0),
        ..PayloadFacts::default()
    };
    let mut elements = Elements::new(aggregation, rest);
    while let Some(element) = elements.next() {
        let element = element?;
        if element.is_empty() || (aggregation.continues && elements.index == 1) {
            continue;
        }
        note(element, &mut facts)?;
    }
    if aggregation.count != 0 && elements.index != aggregation.count {
        return Err(NotThisCodec("AV1 element count is wrong"));
    }
    Ok(facts)
}

/// The sequence header OBU that stands whole in a payload.
#[must_use]
pub fn sequence_header(payload: &[u8]) -> Option<&[u8]> {
    let (&head, rest) = payload.split_first()?;
    let aggregation = Aggregation::of(head);
    let mut elements = Elements::new(aggregation, rest);
    while let Some(Ok(element)) = elements.next() {
        let first = elements.index == 1 && aggregation.continues;
        let cut = first || (elements.rest.is_empty() && aggregation.unfinished);
        if !cut && element.first().map(|head| head >> 3 & 15) == Some(obu::SEQUENCE_HEADER) {
            return Some(element);
        }
    }
    None
}

impl Aggregation {
    fn of(head: u8) -> Self {
        Self {
            continues: head & 0x80 != 0,
            unfinished: head & 0x40 != 0,
            count: head >> 4 & 3,
        }
    }
}

/// The OBU elements of a payload.
struct Elements<'a> {
    count: u8,
    rest: &'a [u8],
    /// Number of the element given last, from 1.
    index: u8,
}

impl<'a> Elements<'a> {
    fn new(aggregation: Aggregation, rest: &'a [u8]) -> Self {
        Self {
            count: aggregation.count,
            rest,
            index: 0,
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], NotThisCodec>;

    fn next(&mut self) -> Option<Self::Item> {
        const CUT: NotThisCodec = NotThisCodec("truncated AV1 element");
        if self.rest.is_empty() {
            return None;
        }
        self.index = self.index.saturating_add(1);
        // The last of W elements has no length.
        if self.count != 0 && self.index == self.count {
            return Some(Ok(std::mem::take(&mut self.rest)));
        }
        let parts = leb128(self.rest).and_then(|(size, tail)| tail.split_at_checked(size));
        let Some((element, rest)) = parts else {
            self.rest = &[];
            return Some(Err(CUT));
        };
        self.rest = rest;
        Some(Ok(element))
    }
}

fn note(element: &[u8], facts: &mut PayloadFacts) -> Result<(), NotThisCodec> {
    // AV1 §5.3.2: forbidden bit, type, extension flag, has_size, reserved.
    if element[0] & 0x81 != 0 {
        return Err(NotThisCodec("invalid OBU header"));
    }
    match element[0] >> 3 & 15 {
        obu::SEQUENCE_HEADER => {
            facts.sequence_header = true;
            facts.picture_header = true;
            facts.profile_level_id = body(element)
                .and_then(profile_tier_level)
                .or(facts.profile_level_id);
        }
        obu::FRAME_HEADER | obu::FRAME => {
            facts.picture_start = true;
            // §5.9.2: show_existing_frame, frame_type (0: key frame)
            facts.keyframe_start |=
                body(element).is_some_and(|body| body.first().is_some_and(|byte| byte >> 5 == 0));
        }
        // §5: temporal delimiters, tile lists and padding should not be sent; 4, 5, 7 are legal.
        2 | 4 | 5 | 7 | 8 | 15 => {}
        _ => return Err(NotThisCodec("reserved OBU type")),
    }
    Ok(())
}

/// What follows the header of an OBU, its extension and its size.
fn body(element: &[u8]) -> Option<&[u8]> {
    let head = *element.first()?;
    let rest = element.get(1 + usize::from(head >> 2 & 1)..)?;
    match head & 0x02 {
        0 => Some(rest),
        _ => leb128(rest).map(|(_, rest)| rest),
    }
}

/// seq_profile, seq_tier and seq_level_idx of the first operating point (AV1 §5.5.1).
fn profile_tier_level(body: &[u8]) -> Option<[u8; 3]> {
    let mut bits = Bits::raw(body);
    let profile = bits.number(3)? as u8;
    bits.flag()?; // still_picture
    if bits.flag()? {
        // reduced_still_picture_header
        return Some([profile, 0, bits.number(5)? as u8]);
    }
    if bits.flag()? {
        // timing_info: two numbers, equal_picture_interval, num_ticks_per_picture_minus_1
        bits.number(32)?;
        bits.number(32)?;
        if bits.flag()? {
            bits.ue()?;
        }
        if bits.flag()? {
            // decoder_model_info
            bits.number(5)?;
            bits.number(32)?;
            bits.number(10)?;
        }
    }
    bits.flag()?; // initial_display_delay_present_flag
    bits.number(5)?; // operating_points_cnt_minus_1
    bits.number(12)?; // operating_point_idc
    let level = bits.number(5)? as u8;
    let tier = level > 7 && bits.flag()?;
    Some([profile, u8::from(tier), level])
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

    /// FFmpeg 9.0.2 with libaom, 640x360: sequence header and the start of a key frame.
    const KEY: [u8; 18] = [
        0x68, 0x0c, 0x08, 0, 0, 0, 0x0c, 0xc4, 0xff, 0x67, 0x36, 0xbe, 0x40, 0x10, 0x30, 0x10,
        0x10, 0,
    ];

    #[test]
    fn a_key_frame_and_its_sequence_header_are_told() {
        let facts = inspect(&KEY).unwrap();
        assert!(facts.keyframe_start && facts.sequence_header && facts.picture_start);
        // Main profile, main tier, level 2.1.
        assert_eq!(facts.profile_level_id, Some([0, 0, 1]));
        let delta = inspect(&[0x50, 0x30, 0x30, 0x03]).unwrap();
        assert!(delta.picture_start && !delta.keyframe_start);
        let fragment = inspect(&[0xd0, 0xff, 1]).unwrap();
        assert_eq!(
            (fragment.continues, fragment.unfinished),
            (Some(0), Some(0))
        );
    }

    #[test]
    fn only_a_whole_sequence_header_is_given() {
        assert_eq!(sequence_header(&KEY), Some(&KEY[2..14]));
        assert_eq!(sequence_header(&[0x58, 0x08, 0, 0]), None, "goes on");
        assert_eq!(sequence_header(&[0x90, 0x08, 0, 0]), None, "continues");
        assert_eq!(sequence_header(&[0x10, 0x30, 0x30]), None);
        assert_eq!(sequence_header(&[]), None);
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
