//! The descriptor VP9 packets get (RFC 9628 §4.2) where their sender wrote none that a browser could work with.
//!
//! FFmpeg's one byte says neither which picture a packet belongs to nor that it needs the one before it: to libwebrtc every
//! frame is a key frame of its own, decoded over any loss. Written here: a 15-bit PictureID in every packet, P in those of
//! inter frames, and in front of a key frame the scalability structure of a single layer with its size.

use super::PayloadFacts;
use super::vp9::{KeyFrame, descriptor_len, flag};

/// §4.2.1 for one layer: N_S = 0, Y and G; then, behind the size, one picture in the group, of layer 0, with one
/// reference to the picture before it.
const ONE_LAYER: u8 = 0x18;
const GROUP: [u8; 3] = [1, 0x04, 1];

/// Bytes a payload grows by at most.
pub const GROWTH: usize = 10;

/// Writes descriptors for the packets of one sender, in their order.
#[derive(Debug, Clone, Default)]
pub struct Describer {
    next_seq: Option<u64>,
    picture: u16,
    key: bool,
    out: Vec<u8>,
}

impl Describer {
    /// The next packet is of a new sender: its pictures are numbered from 0 again.
    pub fn new_run(&mut self) {
        self.next_seq = None;
        self.picture = 0;
        self.key = false;
    }

    /// The payload with its new descriptor. One whose sender numbers pictures itself is given back as it is.
    pub fn describe<'a>(
        &'a mut self,
        seq: u64,
        payload: &'a [u8],
        facts: &PayloadFacts,
    ) -> &'a [u8] {
        let (Some(&first), Ok(len)) = (payload.first(), descriptor_len(payload)) else {
            return payload;
        };
        if first & flag::I != 0 {
            return payload;
        }
        let Some(frame) = payload.get(len..) else {
            return payload;
        };
        let begun = self.next_seq.is_some();
        // A hole may have swallowed whole pictures: none may count as the one right before the next.
        let hole = self
            .next_seq
            .replace(seq + 1)
            .is_some_and(|next| next != seq);
        let step = u16::from(facts.picture_start && begun) + u16::from(hole);
        self.picture = (self.picture + step) & 0x7fff;
        if facts.picture_start {
            self.key = facts.keyframe_start;
        }
        let size = match facts.keyframe_start.then(|| KeyFrame::parse(frame)) {
            Some(Ok(size)) => size,
            _ => None,
        };
        let [high, low] = self.picture.to_be_bytes();
        let mut flags = first & !(flag::P | flag::L | flag::F | flag::V) | flag::I;
        if !self.key {
            flags |= flag::P;
        }
        if size.is_some() {
            flags |= flag::V;
        }
        self.out.clear();
        self.out.extend([flags, high | 0x80, low]);
        if let Some(KeyFrame { width, height, .. }) = size {
            self.out.push(ONE_LAYER);
            self.out.extend(width.to_be_bytes());
            self.out.extend(height.to_be_bytes());
            self.out.extend(GROUP);
        }
        self.out.extend_from_slice(frame);
        &self.out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::vp9;
    use super::*;

    const KEY: [u8; 11] = [
        0x08, 0x83, 0x49, 0x83, 0x42, 0, 0x27, 0xf0, 0x16, 0x70, 0x20,
    ];
    const DELTA: [u8; 5] = [0x0c, 0x87, 0x01, 0x02, 0x4b];

    fn describe(describer: &mut Describer, seq: u64, payload: &[u8]) -> Vec<u8> {
        let facts = vp9::inspect(payload).unwrap();
        let described = describer.describe(seq, payload, &facts).to_vec();
        let after = vp9::inspect(&described).unwrap();
        assert_eq!(after, facts, "the new descriptor says the same");
        described
    }

    #[test]
    fn a_key_frame_has_its_size_and_the_others_name_the_one_before() {
        let mut describer = Describer::default();
        let key = describe(&mut describer, 5, &KEY);
        let head = [0x8a, 0x80, 0, 0x18, 2, 0x80, 1, 0x68, 1, 4, 1];
        assert_eq!(key, [&head[..], &KEY[1..]].concat());
        assert_eq!(
            describe(&mut describer, 6, &[0x04, 1, 2]),
            [0x84, 0x80, 0, 1, 2]
        );
        assert_eq!(
            describe(&mut describer, 7, &DELTA),
            [0xcc, 0x80, 1, 0x87, 1, 2, 0x4b]
        );
        assert_eq!(describe(&mut describer, 8, &DELTA)[..3], [0xcc, 0x80, 2]);
    }

    #[test]
    fn a_hole_leaves_a_picture_out() {
        let mut describer = Describer::default();
        describe(&mut describer, 0, &KEY);
        assert_eq!(describe(&mut describer, 2, &DELTA)[2], 2);
        assert_eq!(describe(&mut describer, 3, &DELTA)[2], 3);
    }

    #[test]
    fn a_sender_that_numbers_its_pictures_is_left_alone() {
        let facts = PayloadFacts::default();
        let payload = [0x80, 0x85, 1, 7];
        assert_eq!(
            Describer::default().describe(0, &payload, &facts),
            &payload[..]
        );
    }

    #[test]
    fn picture_ids_wrap_at_fifteen_bits() {
        let mut describer = Describer::default();
        let mut last = Vec::new();
        for seq in 0..0x8001 {
            last = describe(&mut describer, seq, &DELTA);
        }
        assert_eq!(last[..3], [0xcc, 0x80, 0]);
    }
}
