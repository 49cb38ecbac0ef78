//! Header extensions of an RTP packet (RFC 8285): elements with one-byte and two-byte headers.

use super::header::HEADER_LEN;

/// RFC 8285 §4.2.
const ONE_BYTE: u16 = 0xbede;
/// RFC 8285 §4.3: the low four bits are the application's.
const TWO_BYTE: u16 = 0x1000;

/// The elements of a packet's extension; none where it has none or none of ours can be in it.
#[must_use]
pub fn elements(packet: &[u8]) -> Elements<'_> {
    find(packet).unwrap_or(Elements {
        rest: &[],
        two_byte: false,
    })
}

/// What [`elements`] gives: id and data.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

fn find(packet: &[u8]) -> Option<Elements<'_>> {
    let first = *packet.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let start = HEADER_LEN + 4 * usize::from(first & 0x0f);
    let head: &[u8; 4] = packet.get(start..)?.first_chunk()?;
    let profile = u16::from_be_bytes([head[0], head[1]]);
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let two_byte = profile & 0xfff0 == TWO_BYTE;
    (profile == ONE_BYTE || two_byte).then_some(Elements {
        rest: packet.get(start + 4..start + 4 + 4 * words)?,
        two_byte,
    })
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                // Padding.
                self.rest = rest;
                continue;
            }
            let (id, len, data) = if self.two_byte {
                let (&len, data) = rest.split_first()?;
                (first, usize::from(len), data)
            } else {
                (first >> 4, usize::from(first & 0x0f) + 1, rest)
            };
            if id == 15 && !self.two_byte {
                // RFC 8285 §4.2: stops the processing.
                self.rest = &[];
                return None;
            }
            let (data, rest) = data.split_at_checked(len)?;
            self.rest = rest;
            return Some((id, data));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(profile: u16, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![0u8; HEADER_LEN];
        packet[0] = 0x90;
        packet.extend(profile.to_be_bytes());
        packet.extend(((data.len() / 4) as u16).to_be_bytes());
        packet.extend(data);
        packet
    }

    /// RFC 8285 §4.2, §4.3: padding between elements, an element of one and of three bytes.
    #[test]
    fn both_forms_are_read_around_padding() {
        let one = packet(0xbede, &[0x10, 7, 0, 0, 0x32, 1, 2, 3, 0xf0, 9, 9, 9]);
        let seen: Vec<_> = elements(&one).collect();
        assert_eq!(seen, [(1, &[7][..]), (3, &[1, 2, 3][..])]);
        let two = packet(0x1003, &[1, 0, 0, 20, 2, 5, 6, 0]);
        let seen: Vec<_> = elements(&two).collect();
        assert_eq!(seen, [(1, &[][..]), (20, &[5, 6][..])]);
        assert_eq!(elements(&packet(0xabcd, &[0x10, 7, 0, 0])).count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_calmly(packet in proptest::collection::vec(any::<u8>(), 0..80)) {
            for (_, data) in elements(&packet) {
                prop_assert!(data.len() <= packet.len());
            }
        }
    }
}
