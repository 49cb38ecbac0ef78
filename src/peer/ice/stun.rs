//! STUN binding (RFC 8489): parse, authenticate, answer. Per packet, so ours.

use std::net::SocketAddr;

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
    pub fn parse(message: &'a [u8]) -> Result<Self, StunError> {
        let _ = message;
        todo!("built by the srtp helper")
    }

    /// Checks MESSAGE-INTEGRITY with our password (constant time).
    pub fn verify(&self, local_pwd: &str) -> Result<(), StunError> {
        let _ = local_pwd;
        todo!()
    }
}

/// A success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT, written into `out` (cleared first).
pub fn write_success(
    out: &mut Vec<u8>,
    transaction: &[u8; 12],
    mapped: SocketAddr,
    local_pwd: &str,
) {
    let _ = (out, transaction, mapped, local_pwd);
    todo!()
}

/// An error response (e.g. 487 role conflict, 400, 420), signed likewise.
pub fn write_error(
    out: &mut Vec<u8>,
    transaction: &[u8; 12],
    code: u16,
    reason: &str,
    local_pwd: &str,
) {
    let _ = (out, transaction, code, reason, local_pwd);
    todo!()
}
