//! Base64 (RFC 4648 §4) for descriptions: `data:` URLs and parameter sets.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .zip([16, 8, 0])
            .fold(0_u32, |word, (byte, shift)| {
                word | u32::from(*byte) << shift
            });
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if index <= chunk.len() {
                char::from(ALPHABET[(word >> shift & 63) as usize])
            } else {
                '='
            });
        }
    }
    out
}

/// Text out of what [`encode`] wrote.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let digits: Vec<u32> = chunk
            .iter()
            .take_while(|digit| **digit != b'=')
            .map(|digit| ALPHABET.iter().position(|it| it == digit).unwrap() as u32)
            .collect();
        let word = digits
            .iter()
            .zip([18, 12, 6, 0])
            .fold(0, |w, (d, s)| w | d << s);
        bytes.extend_from_slice(&word.to_be_bytes()[1..digits.len()]);
    }
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn the_vectors_of_the_rfc() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded), plain);
        }
        assert_eq!(encode([0xfb, 0xff]), "+/8=");
    }
}
