//! STUN binding (RFC 8489): parse, authenticate, answer. Per packet, so ours.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::attributes::{Attribute, Attributes, HEADER_LEN, crc32, u16_at, u32_at};

const MAGIC_COOKIE: u32 = 0x2112_a442;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

/// Attribute header and value.
const INTEGRITY_LEN: usize = 4 + 20;
const FINGERPRINT_LEN: usize = 4 + 4;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Most attributes a 420 names.
const UNKNOWN_MAX: usize = 16;
/// Most bytes of a reason phrase (RFC 8489 §14.8: under 128 characters).
const REASON_MAX: usize = 124;

/// Whether a datagram has the form of a STUN header (RFC 8489 §5).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LEN && datagram[0] < 4 && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
}

/// A binding request whose form is right; its integrity is not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingRequest<'a> {
    /// The whole message.
    pub message: &'a [u8],
    /// Transaction id.
    pub transaction: [u8; 12],
    /// First half of USERNAME: our ufrag.
    pub local_ufrag: &'a str,
    /// Second half of USERNAME: the peer's ufrag.
    pub remote_ufrag: &'a str,
    /// USE-CANDIDATE present.
    pub use_candidate: bool,
    /// ICE-CONTROLLED present: a role conflict with an ICE-lite server (RFC 8445 §7.3.1.1).
    pub controlled: bool,
    /// PRIORITY, 0 where absent.
    pub priority: u32,
}

/// Why a STUN message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum StunError {
    #[error("not a STUN message")]
    Malformed,
    #[error("not a binding request")]
    NotRequest,
    #[error("no USERNAME of the form local:remote")]
    Username,
    #[error("FINGERPRINT wrong or missing")]
    Fingerprint,
    #[error("MESSAGE-INTEGRITY wrong or missing")]
    Integrity,
    #[error("unknown comprehension-required attribute")]
    UnknownAttribute,
}

impl<'a> BindingRequest<'a> {
    /// Reads a binding request; FINGERPRINT is verified here (it needs no key).
    ///
    /// What stands behind MESSAGE-INTEGRITY is not signed and thus ignored (RFC 8489 §14.5), but for FINGERPRINT,
    /// which must be last (§14.7). Of an attribute that comes twice the first counts (§14).
    pub fn parse(message: &'a [u8]) -> Result<Self, StunError> {
        let length = u16_at(message, 2).ok_or(StunError::Malformed)?;
        if !is_stun(message) || length % 4 != 0 || usize::from(length) + HEADER_LEN != message.len()
        {
            return Err(StunError::Malformed);
        }
        if u16_at(message, 0) != Some(BINDING_REQUEST) {
            return Err(StunError::NotRequest);
        }
        check_fingerprint(message)?;

        let mut transaction = [0; 12];
        transaction.copy_from_slice(&message[8..HEADER_LEN]);
        let mut username = None;
        let mut priority = None;
        let mut use_candidate = false;
        let mut controlled = false;
        let mut signed = false;
        let mut last = 0;
        for attribute in Attributes::of(message) {
            let Attribute { kind, value, .. } = attribute?;
            if last == FINGERPRINT {
                return Err(StunError::Fingerprint);
            }
            last = kind;
            match (kind, value.len()) {
                // Not left early: what follows must have the form of attributes still.
                _ if signed => {}
                (MESSAGE_INTEGRITY, 20) => signed = true,
                (MESSAGE_INTEGRITY, _) => return Err(StunError::Integrity),
                (USERNAME, _) => username = username.or(Some(value)),
                (PRIORITY, 4) => priority = priority.or(u32_at(value, 0)),
                (USE_CANDIDATE, 0) => use_candidate = true,
                (ICE_CONTROLLED, 8) => controlled = true,
                (PRIORITY | USE_CANDIDATE | ICE_CONTROLLED, _) => return Err(StunError::Malformed),
                _ => {}
            }
        }
        // What was checked above could have been the end of another attribute's value.
        if last != FINGERPRINT {
            return Err(StunError::Fingerprint);
        }
        if !signed {
            return Err(StunError::Integrity);
        }
        let (local_ufrag, remote_ufrag) = username
            .and_then(|username| std::str::from_utf8(username).ok())
            .and_then(|username| username.split_once(':'))
            .filter(|(local, remote)| !local.is_empty() && !remote.is_empty())
            .ok_or(StunError::Username)?;
        Ok(Self {
            message,
            transaction,
            local_ufrag,
            remote_ufrag,
            use_candidate,
            controlled,
            priority: priority.unwrap_or(0),
        })
    }

    /// Checks MESSAGE-INTEGRITY with our password (constant time), then that we know all we must know of the
    /// message: [`StunError::UnknownAttribute`] is thus authenticated, to be answered by [`write_unknown`]
    /// (RFC 8489 §6.3.1 comes after §9.1.3).
    pub fn verify(&self, local_pwd: &str) -> Result<(), StunError> {
        let (at, claimed) = Attributes::of(self.message)
            .flatten()
            .find(|attribute| attribute.kind == MESSAGE_INTEGRITY)
            .map(|attribute| (attribute.start, attribute.value))
            .ok_or(StunError::Integrity)?;
        let mac = integrity(&self.message[..at], local_pwd);
        if !bool::from(mac.as_ref().ct_eq(claimed)) {
            return Err(StunError::Integrity);
        }
        if self.unknown_attributes().next().is_some() {
            return Err(StunError::UnknownAttribute);
        }
        Ok(())
    }

    /// Types of the comprehension-required attributes (below 0x8000) we don't know, among the signed ones.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = u16> + use<'a> {
        Attributes::of(self.message)
            .flatten()
            .map(|attribute| attribute.kind)
            .take_while(|kind| *kind != MESSAGE_INTEGRITY)
            .filter(|kind| {
                *kind < 0x8000
                    && !matches!(
                        *kind,
                        // Known, if senseless here: "known-but-unexpected" ones are ignored (RFC 8489 §6.3).
                        MAPPED_ADDRESS
                            | ERROR_CODE
                            | UNKNOWN_ATTRIBUTES
                            | REALM
                            | NONCE
                            | XOR_MAPPED_ADDRESS
                            | USERNAME
                            | PRIORITY
                            | USE_CANDIDATE
                    )
            })
    }
}

/// A success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT, written into `out` (cleared first).
pub fn write_success(
    out: &mut Vec<u8>,
    transaction: &[u8; 12],
    mapped: SocketAddr,
    local_pwd: &str,
) {
    begin(out, BINDING_SUCCESS, transaction);
    // RFC 8489 §14.2: XOR with the cookie, and for IPv6 with cookie and transaction id.
    let port = mapped.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&port.to_be_bytes());
    // A dual-stack socket calls an IPv4 peer ::ffff:a.b.c.d; the peer itself doesn't.
    let value = match mapped.ip().to_canonical() {
        IpAddr::V4(v4) => {
            value[1] = 1;
            let address = u32::from(v4) ^ MAGIC_COOKIE;
            value[4..8].copy_from_slice(&address.to_be_bytes());
            &value[..8]
        }
        IpAddr::V6(v6) => {
            value[1] = 2;
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(transaction);
            let address = u128::from(v6) ^ u128::from_be_bytes(mask);
            value[4..20].copy_from_slice(&address.to_be_bytes());
            &value[..20]
        }
    };
    push_attribute(out, XOR_MAPPED_ADDRESS, value);
    finish(out, local_pwd);
}

/// An error response (e.g. 487 role conflict, 400, 420), signed likewise.
pub fn write_error(
    out: &mut Vec<u8>,
    transaction: &[u8; 12],
    code: u16,
    reason: &str,
    local_pwd: &str,
) {
    begin(out, BINDING_ERROR, transaction);
    push_error_code(out, code, reason);
    finish(out, local_pwd);
}

/// The 420 that answers [`StunError::UnknownAttribute`], naming the attributes (RFC 8489 §6.3.1, §14.9).
pub fn write_unknown(out: &mut Vec<u8>, request: &BindingRequest<'_>, local_pwd: &str) {
    begin(out, BINDING_ERROR, &request.transaction);
    push_error_code(out, 420, "Unknown Attribute");
    let mut types = [0; UNKNOWN_MAX * 2];
    let mut len = 0;
    for (place, kind) in types.chunks_exact_mut(2).zip(request.unknown_attributes()) {
        place.copy_from_slice(&kind.to_be_bytes());
        len += 2;
    }
    push_attribute(out, UNKNOWN_ATTRIBUTES, &types[..len]);
    finish(out, local_pwd);
}

/// RFC 8489 §14.8: hundreds and the rest apart.
fn push_error_code(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut len = reason.len().min(REASON_MAX);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    let reason = &reason.as_bytes()[..len];
    let mut value = [0; 4 + REASON_MAX];
    value[2] = (code / 100) as u8 & 7;
    value[3] = (code % 100) as u8;
    value[4..4 + reason.len()].copy_from_slice(reason);
    push_attribute(out, ERROR_CODE, &value[..4 + reason.len()]);
}

fn begin(out: &mut Vec<u8>, kind: u16, transaction: &[u8; 12]) {
    out.clear();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out.extend_from_slice(transaction);
}

fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// MESSAGE-INTEGRITY, FINGERPRINT and the length.
fn finish(out: &mut Vec<u8>, local_pwd: &str) {
    let mac = integrity(out, local_pwd);
    push_attribute(out, MESSAGE_INTEGRITY, mac.as_ref());
    let length = (out.len() - HEADER_LEN + FINGERPRINT_LEN) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    let fingerprint = crc32(out) ^ FINGERPRINT_XOR;
    push_attribute(out, FINGERPRINT, &fingerprint.to_be_bytes());
}

/// HMAC-SHA1 of what stands before MESSAGE-INTEGRITY, with a length as if that attribute were the last
/// (RFC 8489 §14.5); the key is the short-term password (§9.1.1).
fn integrity(before: &[u8], pwd: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
    let length = (before.len() - HEADER_LEN + INTEGRITY_LEN) as u16;
    let mut context = hmac::Context::with_key(&key);
    context.update(&before[..2]);
    context.update(&length.to_be_bytes());
    context.update(&before[4..]);
    context.sign()
}

/// FINGERPRINT is the last attribute, and right.
fn check_fingerprint(message: &[u8]) -> Result<(), StunError> {
    let (before, attribute) = message
        .split_at_checked(message.len() - FINGERPRINT_LEN)
        .ok_or(StunError::Fingerprint)?;
    let right = before.len() >= HEADER_LEN
        && u16_at(attribute, 0) == Some(FINGERPRINT)
        && u16_at(attribute, 2) == Some(4)
        && u32_at(attribute, 4) == Some(crc32(before) ^ FINGERPRINT_XOR);
    right.then_some(()).ok_or(StunError::Fingerprint)
}
