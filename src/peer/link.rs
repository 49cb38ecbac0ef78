//! What every peer has: the addresses it was seen at, STUN answered, DTLS passed on, SRTP keys. Viewer and publisher stand
//! on it.

use std::sync::Arc;
use std::time::Instant;

use super::ice::stun::{self, StunError};
use super::outbox::{Notice, Outbox};
use super::paths::Paths;
use super::srtp::{Inbound, Keys, Outbound, SrtpError};
use crate::net::Path;
use crate::stats::Counters;

/// DTLS datagrams that wait for the address to send more before it may get them.
const HELD_MAX: usize = 8;
/// Bytes of DTLS that one peer may get beyond what its addresses earned. A DTLS server that lost our first ClientHello says
/// nothing more (FFmpeg, C032): the repetitions must leave.
const GRANT: usize = 1200;
/// Longest SRTCP packet read; longer ones are no feedback.
const RTCP_MAX: usize = 1500;

pub(super) struct Security {
    pub(super) outbound: Outbound,
    pub(super) inbound: Inbound,
}

/// One peer's transport.
pub(super) struct Link {
    pub(super) security: Option<Security>,
    pub(super) media_path: Option<Path>,
    pub(super) paths: Paths,
    /// When something of it authenticated last.
    pub(super) heard: Instant,
    pub(super) counters: Arc<Counters>,
    pwd: String,
    held: Vec<(Path, Vec<u8>)>,
    grant: usize,
}

impl Link {
    pub(super) fn new(pwd: String, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            security: None,
            media_path: None,
            paths: Paths::default(),
            heard: now,
            counters,
            pwd,
            held: Vec::new(),
            grant: GRANT,
        }
    }

    /// RFC 8445 §7.3: a check that authenticates makes its address known and is answered.
    pub(super) fn stun(&mut self, path: Path, bytes: &[u8], now: Instant, out: &mut Outbox) {
        let request = stun::BindingRequest::parse(bytes).ok();
        let verdict = request.as_ref().map(|request| request.verify(&self.pwd));
        let (Some(request), Some(Ok(()) | Err(StunError::UnknownAttribute))) = (request, verdict)
        else {
            return self.counters.stun_rejected.inc();
        };
        let Some(learnt) = self.paths.checked(path, bytes.len(), now) else {
            return self.counters.stun_rejected.inc();
        };
        if learnt.new {
            out.learnt.push(path);
        }
        if let Some(forgotten) = learnt.forgotten {
            if self.media_path == Some(forgotten) {
                self.media_path = self.paths.selected().copied();
            }
            out.forgotten.push(forgotten);
        }
        if self.paths.is_proven(&path) || self.security.is_none() {
            self.heard = now;
        }
        let mut answer = Vec::with_capacity(96);
        let understood = verdict == Some(Ok(())) && !request.controlled;
        if verdict != Some(Ok(())) {
            stun::write_unknown(&mut answer, &request, &self.pwd);
        } else if request.controlled {
            // RFC 8445 §7.3.1.1: we are lite, so always controlled; a peer that says so too must switch.
            stun::write_error(
                &mut answer,
                &request.transaction,
                487,
                "Role Conflict",
                &self.pwd,
            );
        } else {
            stun::write_success(
                &mut answer,
                &request.transaction,
                path.remote_canonical(),
                &self.pwd,
            );
        }
        if self.paths.spend(&path, answer.len()) {
            out.send.push((path, answer));
        }
        if understood && self.security.is_none() {
            out.notices.push(Notice::Checked(path));
        }
        self.release_held(out);
    }

    /// A DTLS datagram, for the session.
    pub(super) fn dtls(&mut self, path: Path, bytes: &[u8], out: &mut Outbox) {
        if !self.paths.received(&path, bytes.len()) {
            // A forged plaintext record could end a hand-shake: only checked addresses are let in.
            return self.counters.stun_rejected.inc();
        }
        out.notices.push(Notice::Dtls(path, bytes.to_vec()));
        self.release_held(out);
    }

    /// Opens an SRTCP packet, which proves its path; None where it is refused (and counted).
    pub(super) fn open_rtcp(&mut self, path: Path, bytes: &[u8], now: Instant) -> Option<Vec<u8>> {
        let known = self.paths.received(&path, bytes.len());
        let security = self.security.as_mut();
        let Some(security) = security.filter(|_| known && bytes.len() <= RTCP_MAX) else {
            self.counters.srtp_rejected.inc();
            return None;
        };
        let mut packet = bytes.to_vec();
        if security.inbound.open_rtcp(&mut packet).is_err() {
            self.counters.srtp_rejected.inc();
            return None;
        }
        self.authenticated(path, now);
        Some(packet)
    }

    /// Opens the SRTP packet that `packet` holds from `start` on, in place; false where it is refused (and counted).
    pub(super) fn open_rtp(
        &mut self,
        path: Path,
        packet: &mut Vec<u8>,
        start: usize,
        now: Instant,
    ) -> bool {
        let known = self.paths.received(&path, packet.len() - start);
        let opened = self
            .security
            .as_mut()
            .filter(|_| known)
            .and_then(|security| security.inbound.open_rtp(&mut packet[start..]).ok());
        let Some(len) = opened else {
            self.counters.srtp_rejected.inc();
            return false;
        };
        packet.truncate(start + len);
        self.authenticated(path, now);
        true
    }

    /// Seals an RTCP packet and sends it where media goes.
    pub(super) fn send_rtcp(&mut self, plain: &[u8], out: &mut Outbox) {
        let (Some(security), Some(path)) = (&mut self.security, self.media_path) else {
            return;
        };
        let mut sealed = Vec::with_capacity(plain.len() + 32);
        security.outbound.seal_rtcp(plain, &mut sealed);
        out.send.push((path, sealed));
    }

    fn authenticated(&mut self, path: Path, now: Instant) {
        self.heard = now;
        if self.paths.prove(&path, now) {
            self.media_path = Some(path);
        }
    }

    /// DTLS has something to say to `path` (None: wherever a check came from last). What the address may not get yet
    /// waits until it sent more.
    pub(super) fn transmit(&mut self, path: Option<Path>, bytes: Vec<u8>, out: &mut Outbox) {
        let Some(path) = path
            .or(self.media_path)
            .or_else(|| self.paths.latest().copied())
        else {
            return self.counters.dtls_dropped.inc();
        };
        if self.held.is_empty()
            && (self.paths.spend(&path, bytes.len()) || self.is_granted(&path, bytes.len()))
        {
            out.send.push((path, bytes));
        } else if self.held.len() < HELD_MAX {
            self.held.push((path, bytes));
        } else {
            self.counters.dtls_dropped.inc();
        }
    }

    /// Once per peer, not per address: addresses may be forged.
    fn is_granted(&mut self, path: &Path, bytes: usize) -> bool {
        let left = self.grant.checked_sub(bytes);
        let Some(left) = left.filter(|_| self.paths.all().any(|known| known == path)) else {
            return false;
        };
        self.grant = left;
        true
    }

    fn release_held(&mut self, out: &mut Outbox) {
        while let Some((path, bytes)) = self.held.first() {
            let known = self.paths.all().any(|known| known == path);
            if known && !self.paths.spend(path, bytes.len()) {
                return;
            }
            let (path, bytes) = self.held.remove(0);
            if known {
                out.send.push((path, bytes));
            } else {
                self.counters.dtls_dropped.inc();
            }
        }
    }

    /// The hand-shake is done and ended with a datagram from `path`: media may flow there.
    pub(super) fn connect(
        &mut self,
        keys: &Keys,
        path: Path,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), SrtpError> {
        self.security = Some(Security {
            outbound: Outbound::new(keys)?,
            inbound: Inbound::new(keys)?,
        });
        self.heard = now;
        self.paths.prove(&path, now);
        self.media_path = self
            .paths
            .selected()
            .or_else(|| self.paths.latest())
            .copied();
        self.release_held(out);
        Ok(())
    }
}
