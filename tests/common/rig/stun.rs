//! Binding requests as a client writes them, whole or wrong; answers as it reads them (RFC 8489, RFC 8445).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const CONTROLLED: u16 = 0x8029;
const CONTROLLING: u16 = 0x802a;

/// A check to write.
#[derive(Clone)]
pub(crate) struct Check<'a> {
    pub(crate) id: [u8; 12],
    /// Theirs, ours.
    pub(crate) ufrags: (&'a str, &'a str),
    pub(crate) pwd: &'a str,
    /// We claim to be the controlled side.
    pub(crate) controlled: bool,
    /// USE-CANDIDATE.
    pub(crate) nominates: bool,
    /// Further attributes, signed.
    pub(crate) more: &'a [(u16, &'a [u8])],
}

impl Check<'_> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0];
        message.extend(COOKIE);
        message.extend(self.id);
        let username = format!("{}:{}", self.ufrags.0, self.ufrags.1);
        attribute(&mut message, 0x0006, username.as_bytes());
        attribute(&mut message, 0x0024, &0x6e7f_1eff_u32.to_be_bytes());
        let role = if self.controlled {
            CONTROLLED
        } else {
            CONTROLLING
        };
        attribute(&mut message, role, &[0x5a; 8]);
        if self.nominates {
            attribute(&mut message, 0x0025, &[]);
        }
        for (kind, value) in self.more {
            attribute(&mut message, *kind, value);
        }
        announce(&mut message, 24);
        let mac = sign(&message, self.pwd);
        attribute(&mut message, 0x0008, mac.as_ref());
        announce(&mut message, 8);
        let fingerprint = crc32(&message) ^ 0x5354_554e;
        attribute(&mut message, 0x8028, &fingerprint.to_be_bytes());
        message
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Success {
        id: [u8; 12],
        mapped: SocketAddr,
    },
    /// With the attributes a 420 names.
    Error {
        id: [u8; 12],
        code: u16,
        unknown: Vec<u16>,
    },
}

/// Reads an answer; None for what is no STUN, a panic for an answer that is wrong.
pub(crate) fn read(message: &[u8], pwd: &str) -> Option<Answer> {
    if message.len() < 20 || message[4..8] != COOKIE {
        return None;
    }
    let id: [u8; 12] = message[8..20].try_into().unwrap();
    let (mut mapped, mut code, mut unknown, mut signed) = (None, None, Vec::new(), false);
    let mut at = 20;
    while at < message.len() {
        let kind = u16::from_be_bytes([message[at], message[at + 1]]);
        let len = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
        let value = &message[at + 4..at + 4 + len];
        match kind {
            0x0020 => mapped = Some(unmask(value, &id)),
            0x0009 => code = Some(u16::from(value[2]) * 100 + u16::from(value[3])),
            0x000a => {
                let types = value.chunks_exact(2);
                unknown.extend(types.map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
            }
            0x0008 => {
                let mut before = message[..at].to_vec();
                announce(&mut before, 24);
                assert_eq!(sign(&before, pwd).as_ref(), value, "MESSAGE-INTEGRITY");
                signed = true;
            }
            _ => {}
        }
        at += 4 + len.next_multiple_of(4);
    }
    assert!(signed, "an answer without MESSAGE-INTEGRITY");
    Some(match (mapped, code) {
        (Some(mapped), None) => Answer::Success { id, mapped },
        (None, Some(code)) => Answer::Error { id, code, unknown },
        both => panic!("neither success nor error: {both:?}"),
    })
}

fn unmask(value: &[u8], id: &[u8; 12]) -> SocketAddr {
    let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
    let mask = COOKIE.iter().chain(id);
    let ip: Vec<u8> = value[4..].iter().zip(mask).map(|(a, b)| a ^ b).collect();
    let ip: IpAddr = match value[1] {
        1 => Ipv4Addr::from(<[u8; 4]>::try_from(ip).unwrap()).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(ip).unwrap()).into(),
    };
    SocketAddr::new(ip, port)
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn announce(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn sign(message: &[u8], pwd: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    hmac::sign(&key, message)
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
