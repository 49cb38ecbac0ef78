//! Connectivity checks by hand, with another STUN implementation than ours.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rtc_stun::attributes::{ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::crypto::providers::RingCrypto;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};

/// What an answer or a fragment says of ICE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ice {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    pub(crate) candidates: Vec<SocketAddr>,
}

/// Reads the ICE lines of SDP.
pub(crate) fn ice(sdp: &[u8]) -> Ice {
    let text = std::str::from_utf8(sdp).expect("UTF-8");
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    };
    let candidates = text.lines().filter(|line| line.starts_with("a=candidate:"));
    let candidates = candidates.map(|line| {
        let parts: Vec<&str> = line.split(' ').collect();
        SocketAddr::new(
            parts[4].parse().expect("an IP"),
            parts[5].parse().expect("a port"),
        )
    });
    Ice {
        ufrag: value("a=ice-ufrag:"),
        pwd: value("a=ice-pwd:"),
        candidates: candidates.collect(),
    }
}

/// Sends a check to `to`; where the right answer came from, or None where none came within a second.
pub(crate) fn check(
    socket: &UdpSocket,
    to: SocketAddr,
    ice: &Ice,
    nominate: bool,
) -> Option<SocketAddr> {
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.transaction_id = TransactionId::new();
    message.write_header();
    message.add(ATTR_USERNAME, format!("{}:peer", ice.ufrag).as_bytes());
    if nominate {
        message.add(ATTR_USE_CANDIDATE, &[]);
    }
    MessageIntegrity::new_short_term_integrity_with_provider(ice.pwd.clone(), &RingCrypto)
        .add_to(&mut message)
        .expect("a signature");
    FINGERPRINT.add_to(&mut message).expect("a fingerprint");
    socket.send_to(&message.raw, to).expect("a sent check");
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut buffer = [0; 2048];
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let left = left.max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).expect("a timeout");
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let mut answer = Message::new();
        if answer.unmarshal_binary(&buffer[..len]).is_ok()
            && answer.typ == BINDING_SUCCESS
            && answer.transaction_id == message.transaction_id
        {
            MessageIntegrity::check(&mut answer, ice.pwd.as_bytes(), &RingCrypto)
                .expect("signed with the password asked with");
            return Some(from);
        }
    }
    None
}
