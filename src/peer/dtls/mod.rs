//! DTLS 1.2 as a sans-IO object: feed datagrams and time, poll datagrams and events (RFC 6347, RFC 5764).

use std::time::Instant;

use super::srtp::Keys;

/// Which side of the hand-shake we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Server,
    Client,
}

/// What a connection has to say.
pub enum Event {
    /// Hand-shake done, the peer's certificate matches its fingerprint; keys exported once.
    Connected(Keys),
    /// close_notify or a fatal alert came, or the hand-shake failed; the text says which.
    Closed(String),
}

/// Why DTLS could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dtls: {0}")]
pub struct DtlsError(pub String);

/// The process-wide certificate (ECDSA P-256) and library context. Cheap to clone.
#[derive(Clone)]
pub struct Identity {}

impl Identity {
    /// Makes a fresh self-signed certificate.
    pub fn generate() -> Result<Self, DtlsError> {
        todo!("built by the dtls helper")
    }

    /// SHA-256 of the DER certificate, for `a=fingerprint` (RFC 8122 §5).
    #[must_use]
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        todo!()
    }
}

/// One DTLS association. Must be driven by one thread at a time; is `Send`.
pub struct Connection {}

impl Connection {
    /// `fingerprints`: (hash name in lower case, digest) of the offer; every one of a known algorithm must match (C034).
    pub fn new(
        identity: &Identity,
        role: Role,
        fingerprints: &[(String, Vec<u8>)],
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let _ = (identity, role, fingerprints, now);
        todo!()
    }

    /// One datagram from an address that passed a connectivity check.
    pub fn feed(&mut self, datagram: &[u8], now: Instant) {
        let _ = (datagram, now);
        todo!()
    }

    /// The client's first flight, or a retransmission that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The next datagram to send, until None.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        todo!()
    }

    /// The next event, until None.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// Queues close_notify.
    pub fn close(&mut self) {
        todo!()
    }
}
