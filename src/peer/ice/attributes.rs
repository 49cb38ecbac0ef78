//! The attributes of a STUN message as an iterator, and the checksum over it (RFC 8489 §14).

use super::stun::StunError;

pub(super) const HEADER_LEN: usize = 20;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    /// Without the padding.
    pub(super) value: &'a [u8],
    /// Where it begins in the message.
    pub(super) start: usize,
    /// Where the next one begins.
    pub(super) end: usize,
}

/// Walks the attributes; ends after an error.
pub(super) struct Attributes<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    /// Of a message with its header.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self {
            message,
            at: HEADER_LEN,
        }
    }

    fn read(&self) -> Option<Attribute<'a>> {
        let start = self.at;
        let kind = u16_at(self.message, start)?;
        let len = usize::from(u16_at(self.message, start + 2)?);
        let value = self.message.get(start + 4..start + 4 + len)?;
        let end = start + 4 + len.next_multiple_of(4);
        (end <= self.message.len()).then_some(Attribute {
            kind,
            value,
            start,
            end,
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, StunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.len() {
            return None;
        }
        let attribute = self.read();
        self.at = attribute.map_or(self.message.len(), |attribute| attribute.end);
        Some(attribute.ok_or(StunError::Malformed))
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let value = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*value))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*value))
}

/// The CRC-32 of ITU V.42, reflected, as FINGERPRINT has it (RFC 8489 §14.7).
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (crc >> 8) ^ CRC_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize]
    })
}

static CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_gives_the_check_value_of_its_catalogue_entry() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_attribute_longer_than_the_message_is_malformed_and_the_last() {
        let mut message = vec![0; HEADER_LEN];
        message.extend([0, 6, 0, 2, b'a', b'b', 0, 0, 0, 6, 0, 5, 1, 2, 3, 4]);
        let walked: Vec<_> = Attributes::of(&message).collect();
        assert_eq!(walked.len(), 2);
        assert_eq!(walked[0].map(|attribute| attribute.value), Ok(&b"ab"[..]));
        assert_eq!(walked[1], Err(StunError::Malformed));
    }
}
