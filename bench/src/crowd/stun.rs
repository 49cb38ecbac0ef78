//! Binding requests and responses (RFC 8489, RFC 8445): built whole, read as far as a client needs.

use std::net::SocketAddr;

use aws_lc_rs::hmac;

const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();

/// A transaction's id.
pub type TransactionId = [u8; 12];

/// A message from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// It checks us: a full ICE agent.
    Request(TransactionId),
    /// Our check went through.
    Success(TransactionId),
    /// It refused our check.
    Refused,
}

/// The key of MESSAGE-INTEGRITY.
#[must_use]
pub fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// A check of the controlling side that nominates at once.
#[must_use]
pub fn request(id: TransactionId, username: &str, key: &hmac::Key) -> Vec<u8> {
    let mut message = begin(0x0001, id);
    attribute(&mut message, 0x0006, username.as_bytes());
    attribute(&mut message, 0x0024, &0x6e7f_1eff_u32.to_be_bytes()); // PRIORITY of a peer-reflexive candidate
    attribute(&mut message, 0x802a, &[0x5a; 8]); // ICE-CONTROLLING
    attribute(&mut message, 0x0025, &[]); // USE-CANDIDATE
    finish(message, key)
}

/// The answer to a check of the server's.
#[must_use]
pub fn response(id: TransactionId, mapped: SocketAddr, key: &hmac::Key) -> Vec<u8> {
    let mut message = begin(0x0101, id);
    let mask: Vec<u8> = COOKIE.iter().chain(&id).copied().collect();
    let port = mapped.port() ^ 0x2112;
    let (family, ip) = match mapped {
        SocketAddr::V4(v4) => (1, v4.ip().octets().to_vec()),
        SocketAddr::V6(v6) => (2, v6.ip().octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend_from_slice(&port.to_be_bytes());
    value.extend(ip.iter().zip(&mask).map(|(byte, mask)| byte ^ mask));
    attribute(&mut message, 0x0020, &value);
    finish(message, key)
}

/// Reads the kind and the transaction; None for anything else.
#[must_use]
pub fn parse(datagram: &[u8]) -> Option<Message> {
    if datagram.len() < 20 || datagram[4..8] != COOKIE {
        return None;
    }
    let id: TransactionId = datagram[8..20].try_into().ok()?;
    match u16::from_be_bytes([datagram[0], datagram[1]]) {
        0x0001 => Some(Message::Request(id)),
        0x0101 => Some(Message::Success(id)),
        0x0111 => Some(Message::Refused),
        _ => None,
    }
}

fn begin(kind: u16, id: TransactionId) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&COOKIE);
    message.extend_from_slice(&id);
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// MESSAGE-INTEGRITY and FINGERPRINT, each computed with the length that ends with it (RFC 8489 §14.5, §14.7).
fn finish(mut message: Vec<u8>, key: &hmac::Key) -> Vec<u8> {
    announce_length(&mut message, 24);
    let tag = hmac::sign(key, &message);
    attribute(&mut message, 0x0008, tag.as_ref());
    announce_length(&mut message, 8);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &fingerprint.to_be_bytes());
    message
}

fn announce_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_request_reads_back_as_one() {
        let message = request([7; 12], "a:b", &key("secret"));
        assert_eq!(parse(&message), Some(Message::Request([7; 12])));
        assert_eq!(
            message.len() - 20,
            usize::from(u16::from_be_bytes([message[2], message[3]]))
        );
    }
}
