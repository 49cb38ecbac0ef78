//! One viewer: ICE checks, DTLS, receiver reports, and the count of what arrives. Driven by [`super::io`].

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
use super::{Error, filter, stun};

/// Between checks until the server answered one, and from then on (consent, RFC 7675 §5.1).
const CHECK_EVERY: Duration = Duration::from_millis(50);
const CONSENT_EVERY: Duration = Duration::from_secs(4);
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What a viewer is told when it is made.
pub struct Setup {
    /// Bound and connected to the server's candidate.
    pub socket: UdpSocket,
    /// Our ufrag.
    pub ufrag: String,
    /// Our password.
    pub password: String,
    /// The server's half.
    pub remote: Remote,
    /// One packet in so many is read and authenticated.
    pub sample: u32,
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

struct Protection {
    incoming: Srtp,
    outgoing: Srtp,
}

/// One viewer.
pub struct Viewer {
    /// For the poller.
    pub socket: UdpSocket,
    /// How far it got.
    pub phase: Phase,
    /// RTP packets read.
    pub read: u64,
    /// Of these, those whose authentication was good.
    pub authentic: u64,
    /// The SRTP profile's number, 0 until there is one.
    pub profile: u16,
    sample: u32,
    username: String,
    our_key: hmac::Key,
    their_key: hmac::Key,
    dtls: Dtls,
    checked: bool,
    next_check: Instant,
    next_report: Instant,
    protection: Option<Protection>,
    ssrc: u32,
    /// SSRC and highest sequence seen.
    heard: Option<(u32, u16)>,
    drops_before: u32,
}

impl Viewer {
    /// Starts with a check at the first tick.
    pub fn new(setup: Setup, context: &Arc<Context>, now: Instant) -> Result<Self, Error> {
        let Setup {
            socket,
            ufrag,
            password,
            remote,
            sample,
        } = setup;
        let dtls = Dtls::new(context, socket.as_raw_fd(), remote.dtls_client)?;
        Ok(Self {
            phase: Phase::Joining,
            read: 0,
            authentic: 0,
            profile: 0,
            sample,
            username: format!("{}:{ufrag}", remote.ufrag),
            our_key: stun::key(&password),
            their_key: stun::key(&remote.password),
            dtls,
            checked: false,
            next_check: now,
            next_report: now + REPORT_EVERY,
            protection: None,
            ssrc: u32::from_be_bytes(random()),
            heard: None,
            drops_before: 0,
            socket,
        })
    }

    /// Whether the answer made us the DTLS client.
    #[must_use]
    pub fn is_dtls_client(&self) -> bool {
        self.dtls.is_client()
    }

    /// RTP packets that arrived: read ones, and those the filter dropped.
    #[must_use]
    pub fn received(&self) -> u64 {
        let dropped = match self.protection {
            Some(_) => filter::drops(self.socket.as_raw_fd()).wrapping_sub(self.drops_before),
            None => 0,
        };
        self.read + u64::from(dropped)
    }

    /// Reads until the socket is empty.
    pub fn readable(&mut self, crypto: &dyn RTCCrypto, now: Instant) {
        let mut buffer = [0_u8; 2048];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.take(&buffer[..len], crypto, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The server's port is gone: an ICMP answer to something we sent.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
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
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.report();
        }
    }

    /// Leaves: close_notify.
    pub fn close(&mut self) {
        self.dtls.close();
        self.phase = Phase::Gone;
    }

    /// The demultiplexing of RFC 7983 §7.
    fn take(&mut self, datagram: &[u8], crypto: &dyn RTCCrypto, now: Instant) {
        match datagram.first() {
            Some(0..4) => self.take_stun(datagram, now),
            Some(20..64) => {
                let state = self.dtls.feed(datagram);
                self.follow(state, crypto);
            }
            Some(128..192) => self.take_media(datagram),
            _ => {}
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
        let protection = Protection {
            incoming: srtp(&keys.theirs)?,
            outgoing: srtp(&keys.ours)?,
        };
        self.profile = keys.profile;
        self.drops_before = filter::drops(self.socket.as_raw_fd());
        filter::attach(&self.socket, self.sample).ok()?;
        Some(protection)
    }

    fn take_media(&mut self, datagram: &[u8]) {
        let Some(protection) = &mut self.protection else {
            return;
        };
        if datagram.len() < 12 || (64..96).contains(&(datagram[1] & 0x7f)) {
            return;
        }
        self.read += 1;
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        self.heard = Some((ssrc, u16::from_be_bytes([datagram[2], datagram[3]])));
        if protection.incoming.decrypt_rtp(datagram).is_ok() {
            self.authentic += 1;
        }
    }

    /// An empty or one-block receiver report (RFC 3550 §6.4.2) that complains of nothing.
    fn report(&mut self) {
        let Some(protection) = &mut self.protection else {
            return;
        };
        let mut report = vec![0x80, 201, 0, 1];
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some((ssrc, sequence)) = self.heard {
            report[0] = 0x81;
            report[3] = 7;
            report.extend_from_slice(&ssrc.to_be_bytes());
            report.extend_from_slice(&[0; 4]);
            report.extend_from_slice(&u32::from(sequence).to_be_bytes());
            report.extend_from_slice(&[0; 12]);
        }
        if let Ok(sealed) = protection.outgoing.encrypt_rtcp(&report) {
            let _ = self.socket.send(&sealed);
        }
    }
}

/// Random bytes.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random numbers");
    bytes
}
