//! DTLS 1.2 as a sans-IO object: feed datagrams and time, poll datagrams and events (RFC 6347, RFC 5764).
//!
//! After each [`Connection::feed`], [`Connection::handle_timeout`] and [`Connection::close`], call
//! [`Connection::poll_transmit`] and [`Connection::poll_event`] until None, then ask [`Connection::next_timeout`] again.
//! Keep the connection until its session ends: only it can resend our last flight and read the peer's close_notify.

mod certificate;
mod fingerprint;
mod keys;
mod link;
mod policy;
mod ssl;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::certificate::Certificate;
use self::fingerprint::Fingerprints;
use self::ssl::{Context, Session, Step};
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
pub struct Identity {
    inner: Arc<IdentityInner>,
}

struct IdentityInner {
    context: Context,
    fingerprint: [u8; 32],
}

impl Identity {
    /// Makes a fresh self-signed certificate.
    pub fn generate() -> Result<Self, DtlsError> {
        let mut certificate = Certificate::generate()?;
        let context = Context::new(&certificate.der, &certificate.key);
        ssl::cleanse(&mut certificate.key);
        Ok(Self {
            inner: Arc::new(IdentityInner {
                context: context?,
                fingerprint: certificate.fingerprint_sha256(),
            }),
        })
    }

    /// SHA-256 of the DER certificate, for `a=fingerprint` (RFC 8122 §5).
    #[must_use]
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        self.inner.fingerprint
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A client that has not sent its first flight.
    Idle,
    Handshaking,
    Established,
    Closed,
}

/// One DTLS association. Must be driven by one thread at a time; is `Send`.
pub struct Connection {
    session: Session,
    role: Role,
    state: State,
    /// Zero of the library's clock.
    created: Instant,
    /// When the flight is sent again.
    deadline: Option<Instant>,
    /// Not yet polled.
    connected: Option<Keys>,
    /// Not yet polled; comes after `connected`.
    closed: Option<String>,
}

impl Connection {
    /// `fingerprints`: (hash name in lower case, digest) of the offer; every one of a known algorithm must match (C034).
    ///
    /// An offer without a known algorithm is an error. A client sends its first flight at the next
    /// [`Connection::handle_timeout`], which it wants at once.
    pub fn new(
        identity: &Identity,
        role: Role,
        fingerprints: &[(String, Vec<u8>)],
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let fingerprints = Fingerprints::new(fingerprints)?;
        Ok(Self {
            session: Session::new(&identity.inner.context, role, fingerprints)?,
            role,
            state: match role {
                Role::Server => State::Handshaking,
                Role::Client => State::Idle,
            },
            created: now,
            deadline: (role == Role::Client).then_some(now),
            connected: None,
            closed: None,
        })
    }

    /// One datagram from an address that passed a connectivity check.
    pub fn feed(&mut self, datagram: &[u8], now: Instant) {
        // libssl would take an empty datagram for the end of the connection.
        if datagram.is_empty() || self.state == State::Closed {
            return;
        }
        self.session.accept_datagram(datagram);
        if self.state != State::Established {
            self.advance(now);
        }
        // The datagram that ends the hand-shake may hold more records.
        if self.state == State::Established {
            let step = self.session.read(self.clock(now));
            if let Step::Closed(reason) = step {
                // RFC 5246 §7.2.1: a close_notify is answered with one.
                self.session.shut_down();
                self.end(reason);
            }
        }
        self.rearm(now);
    }

    /// The client's first flight, or a retransmission that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Idle => self.advance(now),
            State::Handshaking => {
                let step = self.session.retransmit(self.clock(now));
                if let Step::Closed(reason) = step {
                    self.end(reason);
                }
            }
            State::Established | State::Closed => {}
        }
        self.rearm(now);
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next datagram to send, until None.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.session.next_datagram()
    }

    /// The next event, until None.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(keys) = self.connected.take() {
            return Some(Event::Connected(keys));
        }
        self.closed.take().map(Event::Closed)
    }

    /// Queues close_notify.
    ///
    /// Ends the connection without an event: the caller knows. Before the hand-shake is done nothing is sent.
    pub fn close(&mut self) {
        if self.state == State::Established {
            self.session.shut_down();
        }
        self.state = State::Closed;
        self.deadline = None;
    }

    /// Takes the hand-shake as far as it goes.
    fn advance(&mut self, now: Instant) {
        self.state = State::Handshaking;
        match self.session.handshake(self.clock(now)) {
            Step::Blocked => {}
            Step::Closed(reason) => self.end(reason),
            Step::Done => match self.session.srtp_profile() {
                // RFC 5764 §4.1.1: without a common profile there is nothing this association could carry.
                None => {
                    self.session.refuse();
                    self.end("the peer has no SRTP profile of ours".to_owned());
                }
                Some(profile) => match keys::export(&mut self.session, profile, self.role) {
                    Ok(keys) => {
                        self.connected = Some(keys);
                        self.state = State::Established;
                    }
                    Err(error) => {
                        self.session.refuse();
                        self.end(error.to_string());
                    }
                },
            },
        }
    }

    fn end(&mut self, reason: String) {
        self.state = State::Closed;
        self.closed = Some(reason);
    }

    fn rearm(&mut self, now: Instant) {
        self.deadline = match self.state {
            State::Idle | State::Handshaking => self.session.time_left(self.clock(now)),
            State::Established | State::Closed => None,
        }
        .map(|left| now + left);
    }

    fn clock(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }
}
