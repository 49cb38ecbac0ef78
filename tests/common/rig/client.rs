//! A lean WHEP client, sans-IO: checks, DTLS in either role, SRTP as receiver, and a note of all it saw.

use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::ice::{Kind, classify};
use corertc::peer::srtp::{Inbound, Outbound, SrtpError};
use corertc::rtp::header::Header;

use super::stun::{self, Answer, Check};

const CHECK_EVERY: Duration = Duration::from_millis(50);
const CONSENT_EVERY: Duration = Duration::from_millis(2500);

/// One RTP packet, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Client {
    dtls: Connection,
    role: Role,
    begun: bool,
    srtp: Option<(Outbound, Inbound)>,
    /// Ufrag and password of the server.
    server: (String, String),
    next_check: Instant,
    checks: u64,
    /// Its checks nominate the pair, as browsers' do.
    pub(crate) nominates: bool,
    pub(crate) out: Vec<Vec<u8>>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) packets: Vec<Packet>,
    /// Plain RTCP, as it came.
    pub(crate) rtcp: Vec<Vec<u8>>,
    /// Refused by the replay window.
    pub(crate) replayed: u64,
    /// Refused for anything else.
    pub(crate) refused: u64,
    pub(crate) closed: Option<String>,
}

impl Client {
    pub(crate) fn new(
        identity: &Identity,
        server: &Identity,
        role: Role,
        ufrag: &str,
        pwd: &str,
        now: Instant,
    ) -> Self {
        let server = server.fingerprint_sha256().to_vec();
        Self::to(identity, server, role, ufrag, pwd, now)
    }

    /// A client of the server whose certificate has this SHA-256 fingerprint.
    pub(crate) fn to(
        identity: &Identity,
        server: Vec<u8>,
        role: Role,
        ufrag: &str,
        pwd: &str,
        now: Instant,
    ) -> Self {
        let fingerprint = [("sha-256".to_owned(), server)];
        Self {
            dtls: Connection::new(identity, role, &fingerprint, now).unwrap(),
            role,
            begun: role == Role::Server,
            srtp: None,
            server: (ufrag.to_owned(), pwd.to_owned()),
            next_check: now,
            checks: 0,
            nominates: true,
            out: Vec::new(),
            answers: Vec::new(),
            packets: Vec::new(),
            rtcp: Vec::new(),
            replayed: 0,
            refused: 0,
            closed: None,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.srtp.is_some() && self.closed.is_none()
    }

    /// A datagram from the server.
    pub(crate) fn datagram(&mut self, bytes: &[u8], now: Instant) {
        match classify(bytes) {
            Kind::Stun => {
                let answer = stun::read(bytes, &self.server.1).unwrap();
                self.next_check = now + CONSENT_EVERY;
                if !self.begun && matches!(answer, Answer::Success { .. }) {
                    self.begun = true;
                    self.dtls.handle_timeout(now);
                }
                self.answers.push(answer);
            }
            Kind::Dtls => self.dtls.feed(bytes, now),
            Kind::Rtp => self.rtp(bytes),
            Kind::Rtcp => self.srtcp(bytes),
            Kind::Unknown => panic!("of no protocol: {bytes:?}"),
        }
        self.pump();
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        let dtls = self.dtls.next_timeout().filter(|_| self.begun);
        dtls.map_or(self.next_check, |dtls| dtls.min(self.next_check))
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if self.next_check <= now {
            self.next_check = now + CHECK_EVERY;
            let check = self.check(&[]);
            self.out.push(check);
        }
        let due = |at: Instant| self.begun && at <= now;
        if self.dtls.next_timeout().is_some_and(due) {
            self.dtls.handle_timeout(now);
        }
        self.pump();
    }

    /// A fresh check.
    pub(crate) fn check(&mut self, more: &[(u16, &[u8])]) -> Vec<u8> {
        self.next(more, false).write()
    }

    /// A check of one who claims to be controlled.
    pub(crate) fn controlled_check(&mut self) -> Vec<u8> {
        self.next(&[], true).write()
    }

    fn next<'a>(&'a mut self, more: &'a [(u16, &'a [u8])], controlled: bool) -> Check<'a> {
        self.checks += 1;
        let mut id = [7; 12];
        id[..8].copy_from_slice(&self.checks.to_be_bytes());
        Check {
            id,
            ufrags: (&self.server.0, "client"),
            pwd: &self.server.1,
            controlled,
            nominates: self.nominates,
            more,
        }
    }

    /// SRTCP of a plain RTCP packet.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        let (outbound, _) = self.srtp.as_mut().unwrap();
        outbound.seal_rtcp(plain, &mut sealed);
        sealed
    }

    /// An SRTP packet, which a viewer has no business to send.
    pub(crate) fn seal_media(&mut self) -> Vec<u8> {
        let mut sealed = Vec::new();
        let header = [0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9];
        let (outbound, _) = self.srtp.as_ref().unwrap();
        outbound.seal_rtp(&header, &[1, 2, 3], 1, &mut sealed);
        sealed
    }

    /// Leaves with close_notify.
    pub(crate) fn close(&mut self) {
        self.dtls.close();
        self.pump();
    }

    fn rtp(&mut self, bytes: &[u8]) {
        let Some((_, inbound)) = &mut self.srtp else {
            // Media overtook the end of the hand-shake.
            return;
        };
        let mut bytes = bytes.to_vec();
        match inbound.open_rtp(&mut bytes) {
            Ok(len) => {
                let header = Header::parse(&bytes[..len]).unwrap();
                let payload = bytes[header.payload.clone()].to_vec();
                self.packets.push(Packet { header, payload });
            }
            Err(SrtpError::Replay) => self.replayed += 1,
            Err(_) => self.refused += 1,
        }
    }

    fn srtcp(&mut self, bytes: &[u8]) {
        let Some((_, inbound)) = &mut self.srtp else {
            return;
        };
        let mut bytes = bytes.to_vec();
        match inbound.open_rtcp(&mut bytes) {
            Ok(()) => self.rtcp.push(bytes),
            Err(SrtpError::Replay) => self.replayed += 1,
            Err(_) => self.refused += 1,
        }
    }

    fn pump(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.out.push(datagram);
        }
        while let Some(event) = self.dtls.poll_event() {
            match event {
                Event::Connected(keys) => {
                    let outbound = Outbound::new(&keys).unwrap();
                    self.srtp = Some((outbound, Inbound::new(&keys).unwrap()));
                }
                Event::Closed(why) => self.closed = Some(why),
            }
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }
}
