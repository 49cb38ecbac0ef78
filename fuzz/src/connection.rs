//! Datagrams before and beside media: checks, hand-shakes, SRTP of whoever has other keys.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::ice::stun::{self, BindingRequest};
use corertc::peer::ice::{Kind, classify};
use corertc::peer::srtp::{Inbound, Keys, Outbound, Profile};

/// A check is read, verified, answered.
pub fn stun(input: &[u8]) {
    let kind = classify(input);
    // Seeds are whole messages; of mutated ones most fail at the length or at the checksum alone.
    let mut mended = input.to_vec();
    for message in [input, mend(&mut mended)] {
        let Ok(request) = BindingRequest::parse(message) else {
            continue;
        };
        assert!(classify(message) == Kind::Stun || kind != Kind::Stun);
        let _ = request.verify("the-password-of-the-server");
        assert!(request.unknown_attributes().count() <= message.len() / 4);
        let (mut out, pwd) = (Vec::new(), "the-password-of-the-server");
        stun::write_unknown(&mut out, &request, pwd);
        stun::write_error(&mut out, &request.transaction, 487, "Role Conflict", pwd);
        assert!(!out.is_empty());
    }
}

/// Length and FINGERPRINT (RFC 8489 §14.7) as they should be.
fn mend(message: &mut Vec<u8>) -> &[u8] {
    if message.len() < 28 {
        message.resize(28, 0);
    }
    message.truncate(message.len() & !3);
    message[..2].copy_from_slice(&[0, 1]);
    let len = (message.len() - 20) as u16;
    message[2..4].copy_from_slice(&len.to_be_bytes());
    message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    let at = message.len() - 8;
    let crc = crc32(&message[..at]) ^ 0x5354_554e;
    message[at..at + 4].copy_from_slice(&[0x80, 0x28, 0, 4]);
    message[at + 4..].copy_from_slice(&crc.to_be_bytes());
    message
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// The first byte says who we are; the rest are datagrams, each behind a byte of its length (0: it is the genuine next
/// one of the other side).
pub fn dtls(input: &[u8]) {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let identity = IDENTITY.get_or_init(|| Identity::generate().expect("an identity"));
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let (ours, theirs) = match first & 1 {
        0 => (Role::Server, Role::Client),
        _ => (Role::Client, Role::Server),
    };
    let fingerprint = [("sha-256".to_owned(), identity.fingerprint_sha256().to_vec())];
    let mut now = Instant::now();
    let connection =
        |role| Connection::new(identity, role, &fingerprint, now).expect("a connection");
    let (mut us, mut them) = (connection(ours), connection(theirs));
    us.handle_timeout(now);
    them.handle_timeout(now);
    for datagram in super::pieces(rest).take(64) {
        if datagram.is_empty() {
            if let Some(genuine) = them.poll_transmit() {
                us.feed(&genuine, now);
            }
        } else {
            us.feed(datagram, now);
        }
        while let Some(answer) = us.poll_transmit() {
            assert!(answer.len() <= 1500);
            them.feed(&answer, now);
        }
        while let Some(event) = us.poll_event() {
            // The other side has the keys of its certificate: whoever connects went through it.
            assert!(matches!(event, Event::Closed(_)) || them.poll_event().is_some());
        }
        now += Duration::from_millis(u64::from(first >> 1));
        if us.next_timeout().is_some_and(|at| at <= now) {
            us.handle_timeout(now);
        }
    }
    us.close();
}

/// The first byte chooses the profile; the rest is a packet of a stranger, and the plain packet of a peer.
pub fn srtp(input: &[u8]) {
    let Some((first, packet)) = input.split_first() else {
        return;
    };
    let profile = match first % 3 {
        0 => Profile::AeadAes128Gcm,
        1 => Profile::AeadAes256Gcm,
        _ => Profile::Aes128CmHmacSha1_80,
    };
    let keys = keys(profile);
    let mut inbound = Inbound::new(&keys).expect("keys that fit");
    let mut rtp = packet.to_vec();
    assert!(inbound.open_rtp(&mut rtp).is_err(), "a forgery");
    let mut rtcp = packet.to_vec();
    assert!(inbound.open_rtcp(&mut rtcp).is_err(), "a forgery");
    if packet.len() < 8 {
        return;
    }
    // What a peer seals opens once, whatever it says.
    let mut outbound = Outbound::new(&keys).expect("keys that fit");
    let mut sealed = Vec::new();
    outbound.seal_rtcp(packet, &mut sealed);
    let mut again = sealed.clone();
    assert!(inbound.open_rtcp(&mut sealed).is_ok());
    assert_eq!(sealed, packet);
    assert!(inbound.open_rtcp(&mut again).is_err(), "a replay");
}

/// Keys of a peer that sends to itself.
pub(crate) fn keys(profile: Profile) -> Keys {
    let (key, salt) = (vec![1; profile.key_len()], vec![2; profile.salt_len()]);
    Keys {
        profile,
        local_key: key.clone(),
        local_salt: salt.clone(),
        remote_key: key,
        remote_salt: salt,
    }
}
