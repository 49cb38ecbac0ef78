//! Bits of a raw byte sequence payload (H.264 §7.2, H.265 §7.2): emulation prevention taken out, Exp-Golomb read.

/// Reads bits from the front; `None` at the end.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    bit: u8,
    zeros: u8,
    raw: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bit: 0,
            zeros: 0,
            raw: false,
        }
    }

    /// The same over bytes without emulation prevention (VP9, AV1).
    pub(super) fn raw(bytes: &'a [u8]) -> Self {
        Self {
            raw: true,
            ..Self::new(bytes)
        }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        if !self.raw && self.bit == 0 && self.zeros >= 2 && *self.bytes.get(self.at)? == 3 {
            // emulation_prevention_three_byte
            self.at += 1;
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let flag = byte & (0x80 >> self.bit) != 0;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 }.min(2);
        }
        Some(flag)
    }

    pub(super) fn number(&mut self, bits: u8) -> Option<u32> {
        let mut value = 0;
        for _ in 0..bits {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// ue(v), at most 32 bits.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(self.number(zeros)? + ((1u32 << zeros) - 1))
    }

    /// se(v)
    pub(super) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -(code / 2)
        })
    }
}
