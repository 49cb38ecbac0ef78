//! What we negotiate and how long we wait: the settings of libssl, apart from the calls that make them.

use std::ffi::{CStr, c_int};

use aws_lc_sys as lc;

/// Our order of preference; libssl's server takes its own first profile that the client offers.
pub(super) const SRTP_PROFILES: &CStr =
    c"SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

/// AEAD and forward secrecy only; RSA and ECDSA peers alike.
pub(super) const CIPHERS: &CStr = c"ECDHE+AESGCM:ECDHE+CHACHA20";

/// P-224 last: GnuTLS builds of FFmpeg have a certificate on it, and a client's groups limit the server's certificate.
pub(super) const GROUPS: [c_int; 4] = [
    lc::NID_X25519,
    lc::NID_X9_62_prime256v1,
    lc::NID_secp384r1,
    lc::NID_secp224r1,
];

/// No tickets (nobody resumes), no asking the BIO for an MTU.
pub(super) const OPTIONS: c_int =
    lc::SSL_OP_NO_TICKET | lc::SSL_OP_NO_QUERY_MTU | lc::SSL_OP_CIPHER_SERVER_PREFERENCE;

/// The peer's certificate is required in both roles.
pub(super) const VERIFY_MODE: c_int = lc::SSL_VERIFY_PEER | lc::SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

/// Bounds a reassembled hand-shake message, and with it the memory a flood of fragments can take.
pub(super) const MAX_CERT_LIST: usize = 16_384;

/// Largest datagram of a flight: below every path's MTU that carries our media.
pub(super) const MTU: u32 = 1200;

/// Datagrams kept for a caller that does not poll; more are dropped, as a network would.
pub(super) const MAX_QUEUED: usize = 64;

/// Keeps the clock away from zero, which libssl reads as "no timer".
pub(super) const CLOCK_BASE_S: u64 = 86_400;

/// First retransmission as server: above most round trips, since the client repeats as well.
pub(super) const SERVER_RETRANSMIT_MS: u32 = 100;

/// First retransmission as client: FFmpeg loses a ClientHello that comes early (C032).
pub(super) const CLIENT_RETRANSMIT_MS: u32 = 50;
