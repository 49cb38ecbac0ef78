//! What viewers and publishers share: a connected socket, ICE checks, DTLS, and the SRTP keys. Time is an argument.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use rtc_crypto::RTCCrypto;
use rtc_srtp::context::Context as Srtp;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::dtls::{Context, Dtls, State};
use super::sdp::Remote;
use super::{Error, stamp, stun};

/// Between checks until the server answered one, and from then on (consent, RFC 7675 §5.1).
const CHECK_EVERY: Duration = Duration::from_millis(50);
const CONSENT_EVERY: Duration = Duration::from_secs(4);

/// What a peer is told when it is made.
pub struct Setup {
    /// Bound and connected to the server's candidate.
    pub socket: UdpSocket,
    /// Our ufrag.
    pub ufrag: String,
    /// Our password.
    pub password: String,
    /// The server's half.
    pub remote: Remote,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// ICE or DTLS under way.
    Joining,
    /// Keys are there.
    Connected,
    /// The server closed, or it failed.
    Gone,
}

/// Both directions' keys.
pub struct Protection {
    /// What the server sends.
    pub incoming: Srtp,
    /// What we send.
    pub outgoing: Srtp,
}

/// One peer.
pub struct Peer {
    /// For the poller.
    pub socket: UdpSocket,
    /// How far it got.
    pub phase: Phase,
    /// The SRTP profile's number, 0 until there is one.
    pub profile: u16,
    /// There once it is connected.
    pub protection: Option<Protection>,
    username: String,
    our_key: hmac::Key,
    their_key: hmac::Key,
    dtls: Dtls,
    checked: bool,
    next_check: Instant,
}

impl Peer {
    /// Starts with a check at the first tick.
    pub fn new(setup: Setup, context: &Arc<Context>, now: Instant) -> Result<Self, Error> {
        let Setup {
            socket,
            ufrag,
            password,
            remote,
        } = setup;
        let dtls = Dtls::new(context, socket.as_raw_fd(), remote.dtls_client)?;
        Ok(Self {
            phase: Phase::Joining,
            profile: 0,
            protection: None,
            username: format!("{}:{ufrag}", remote.ufrag),
            our_key: stun::key(&password),
            their_key: stun::key(&remote.password),
            dtls,
            checked: false,
            next_check: now,
            socket,
        })
    }

    /// Whether the answer made us the DTLS client.
    #[must_use]
    pub fn is_dtls_client(&self) -> bool {
        self.dtls.is_client()
    }

    /// Reads one datagram into `buffer`. What is neither STUN nor DTLS is given back: its length, and when the kernel got it
    /// (nanoseconds, 0 where the socket isn't stamped).
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        crypto: &dyn RTCCrypto,
        now: Instant,
    ) -> io::Result<Option<(usize, u64)>> {
        let (len, at) = match stamp::receive(self.socket.as_raw_fd(), buffer) {
            // The server's port is gone: an ICMP answer to something we sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            other => other?,
        };
        // The demultiplexing of RFC 7983 §7.
        match buffer.first() {
            Some(0..4) => self.take_stun(&buffer[..len], now),
            Some(20..64) => {
                let state = self.dtls.feed(&buffer[..len]);
                self.follow(state, crypto);
            }
            Some(128..192) => return Ok(Some((len, at))),
            _ => {}
        }
        Ok(None)
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.phase == Phase::Gone {
            return;
        }
        self.dtls.tick();
        if now >= self.next_check {
            self.next_check = now
                + if self.checked {
                    CONSENT_EVERY
                } else {
                    CHECK_EVERY
                };
            let check = stun::request(random(), &self.username, &self.their_key);
            let _ = self.socket.send(&check);
        }
    }

    /// Leaves: close_notify.
    pub fn close(&mut self) {
        self.dtls.close();
        self.phase = Phase::Gone;
    }

    /// Seals a compound RTCP packet and sends it.
    pub fn send_rtcp(&mut self, plain: &[u8]) {
        if let Some(protection) = &mut self.protection
            && let Ok(sealed) = protection.outgoing.encrypt_rtcp(plain)
        {
            let _ = self.socket.send(&sealed);
        }
    }

    fn take_stun(&mut self, datagram: &[u8], now: Instant) {
        match stun::parse(datagram) {
            Some(stun::Message::Request(id)) => {
                if let Ok(server) = self.socket.peer_addr() {
                    let _ = self.socket.send(&stun::response(id, server, &self.our_key));
                }
            }
            Some(stun::Message::Success(_)) if !self.checked => {
                self.checked = true;
                self.next_check = now + CONSENT_EVERY;
                if self.dtls.is_client() {
                    self.dtls.drive();
                }
            }
            _ => {}
        }
    }

    fn follow(&mut self, state: State, crypto: &dyn RTCCrypto) {
        match state {
            State::Shaking => {}
            State::Established if self.phase == Phase::Joining => {
                self.protection = self.protect(crypto);
                self.phase = match self.protection {
                    Some(_) => Phase::Connected,
                    None => Phase::Gone,
                };
            }
            State::Established => {}
            State::Closed | State::Failed => self.phase = Phase::Gone,
        }
    }

    fn protect(&mut self, crypto: &dyn RTCCrypto) -> Option<Protection> {
        let keys = self.dtls.keys()?;
        let profile = match keys.profile {
            7 => ProtectionProfile::AeadAes128Gcm,
            1 => ProtectionProfile::Aes128CmHmacSha1_80,
            _ => return None,
        };
        let srtp = |(key, salt): &(Vec<u8>, Vec<u8>)| {
            Srtp::new(key, salt, profile, None, None, crypto).ok()
        };
        self.profile = keys.profile;
        Some(Protection {
            incoming: srtp(&keys.theirs)?,
            outgoing: srtp(&keys.ours)?,
        })
    }
}

/// Random bytes.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random numbers");
    bytes
}
