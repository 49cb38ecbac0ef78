//! PictureID and TL0PICIDX of VP8 and VP9 (RFC 7741 §4.2, RFC 9628 §4.2): they go on where a new sender starts anew.

use super::{Codec, vp8, vp9};

/// A PictureID in a payload descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// Offset of its first byte.
    pub at: usize,
    /// Its value, 7 or 15 bits.
    pub value: u16,
    /// Whether it has 15 bits.
    pub long: bool,
}

/// Where a descriptor numbers its picture: the PictureID, and the place of TL0PICIDX where there is one.
pub(super) type Numbers = (PictureId, Option<usize>);

impl PictureId {
    /// Reads the one that stands at `at`: the M bit says which form it has.
    pub(super) fn read(payload: &[u8], at: usize) -> Option<Self> {
        let high = *payload.get(at)?;
        let long = high & 0x80 != 0;
        let value = if long {
            u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?])
        } else {
            u16::from(high)
        };
        Some(Self { at, value, long })
    }

    /// Writes another value in its place and form.
    fn write(&self, value: u16, payload: &mut [u8]) {
        if self.long {
            let [high, low] = value.to_be_bytes();
            payload[self.at] = high | 0x80;
            payload[self.at + 1] = low;
        } else {
            payload[self.at] = (value & 0x7f) as u8;
        }
    }

    /// Offset of what follows it.
    pub(super) fn end(&self) -> usize {
        self.at + if self.long { 2 } else { 1 }
    }
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

    /// Rewrites the descriptor of one payload in place. A payload without PictureID stays as it is, and so does every
    /// payload of a codec that has none.
    pub fn rewrite(&mut self, codec: Codec, payload: &mut [u8]) {
        let Some((id, tl0_at)) = numbers(codec, payload) else {
            return;
        };
        let tl0 = tl0_at.map(|at| payload[at]);
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
        id.write(value, payload);
        if let (Some(at), Some(tl0)) = (tl0_at, tl0) {
            self.last_tl0 = tl0.wrapping_add(self.tl0_shift);
            payload[at] = self.last_tl0;
        }
    }
}

/// What one receiver's picture numbers are ahead of the stream's: it was sent pictures twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureShift {
    id: u16,
    tl0: u8,
}

impl PictureShift {
    /// Nothing to change.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// More by so much that the picture `again` follows the picture `last` (each by one of its payloads).
    #[must_use]
    pub fn so_that(self, codec: Codec, again: &[u8], last: &[u8]) -> Self {
        let (Some((again_id, again_tl0)), Some((last_id, last_tl0))) =
            (numbers(codec, again), numbers(codec, last))
        else {
            return self;
        };
        let tl0 = |payload: &[u8], at: Option<usize>| at.map_or(0, |at| payload[at]);
        let behind = last_id.value.wrapping_sub(again_id.value);
        let tl0_behind = tl0(last, last_tl0).wrapping_sub(tl0(again, again_tl0));
        Self {
            id: self.id.wrapping_add(behind).wrapping_add(1) & 0x7fff,
            tl0: self.tl0.wrapping_add(tl0_behind).wrapping_add(1),
        }
    }

    /// Changes the numbers in one payload.
    pub fn apply(self, codec: Codec, payload: &mut [u8]) {
        let Some((id, tl0_at)) = numbers(codec, payload) else {
            return;
        };
        id.write(id.value.wrapping_add(self.id), payload);
        if let Some(at) = tl0_at {
            payload[at] = payload[at].wrapping_add(self.tl0);
        }
    }
}

fn numbers(codec: Codec, payload: &[u8]) -> Option<Numbers> {
    match codec {
        Codec::Vp8 => vp8::numbers(payload),
        Codec::Vp9 => vp9::numbers(payload),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY: [u8; 14] = [
        0x90, 0x80, 0x80, 0, 0x70, 0x9d, 1, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0,
    ];

    fn send(line: &mut PictureLine, id: u16) -> u16 {
        let mut payload = KEY;
        payload[2..4].copy_from_slice(&(id | 0x8000).to_be_bytes());
        line.rewrite(Codec::Vp8, &mut payload);
        vp8::numbers(&payload).unwrap().0.value
    }

    #[test]
    fn picture_ids_go_on_where_a_new_sender_starts_at_zero() {
        let mut line = PictureLine::default();
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
        line.rewrite(Codec::Vp8, &mut first);
        assert_eq!(first[2..4], [0x7f, 9]);
        line.new_run();
        let mut second = [0x90, 0xc0, 0x00, 0, 0x71, 0, 0];
        line.rewrite(Codec::Vp8, &mut second);
        assert_eq!(second[2..4], [0, 10]);
    }

    #[test]
    fn a_browsers_vp9_numbers_go_on_too() {
        let mut line = PictureLine::default();
        // I, P, L, B, E: 15-bit PictureID, layer indices, TL0PICIDX.
        let payload = |id: u8, tl0: u8| [0xec, 0x80, id, 0x00, tl0, 0x86, 0];
        let mut first = payload(9, 200);
        line.rewrite(Codec::Vp9, &mut first);
        assert_eq!(first, payload(9, 200));
        line.new_run();
        let mut second = payload(3, 4);
        line.rewrite(Codec::Vp9, &mut second);
        assert_eq!(second, payload(10, 201));
    }

    #[test]
    fn pictures_sent_twice_get_numbers_that_go_on() {
        let picture = |id: u16, tl0: u8| {
            let [high, low] = id.to_be_bytes();
            [0x90, 0xc0, high | 0x80, low, tl0, 0x71, 0, 0]
        };
        let (key, last) = (picture(0x7ff0, 250), picture(3, 13));
        let shift = PictureShift::default().so_that(Codec::Vp8, &key, &last);
        for (of_stream, of_viewer) in [(key, picture(4, 14)), (last, picture(23, 33))] {
            let mut payload = of_stream;
            shift.apply(Codec::Vp8, &mut payload);
            assert_eq!(payload, of_viewer);
        }
        // And a second time, on top.
        let shift = shift.so_that(Codec::Vp8, &key, &last);
        let mut payload = key;
        shift.apply(Codec::Vp8, &mut payload);
        assert_eq!(payload, picture(24, 34));
        assert!(
            PictureShift::default()
                .so_that(Codec::H264, &key, &last)
                .is_zero()
        );
    }

    #[test]
    fn codecs_without_picture_ids_are_left_alone() {
        let mut payload = [0xec, 0x80, 9, 0, 0];
        PictureLine::default().rewrite(Codec::H264, &mut payload);
        assert_eq!(payload, [0xec, 0x80, 9, 0, 0]);
    }
}
