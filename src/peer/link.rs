//! What every peer has: the addresses it was seen at, DTLS passed on, SRTP keys. Viewer and publisher stand on it;
//! connectivity checks have a file of their own ([`checks`](super::checks)).

use std::sync::Arc;
use std::time::Instant;

use super::held::Held;
use super::ice::Kind;
use super::ice::credentials::Credentials;
use super::ice::generations::Generations;
use super::moves::Moves;
use super::outbox::{Notice, Outbox};
use super::paths::{Learnt, Paths};
use super::srtp::{Inbound, Keys, Outbound, SrtpError};
use crate::net::Path;
use crate::stats::Counters;

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
    pub(super) generations: Generations,
    pub(super) held: Held,
    pub(super) moves: Moves,
    /// When something of it authenticated last.
    pub(super) heard: Instant,
    pub(super) counters: Arc<Counters>,
    /// Bytes of DTLS that it may still get beyond what its addresses earned.
    grant: usize,
}

impl Link {
    pub(super) fn new(credentials: Credentials, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            security: None,
            media_path: None,
            paths: Paths::default(),
            generations: Generations::new(credentials),
            held: Held::default(),
            moves: Moves::new(now),
            heard: now,
            counters,
            grant: 0,
        }
    }

    /// It may get so many bytes of DTLS beyond what its addresses earned, once per peer: addresses may be forged.
    pub(super) fn granted(mut self, bytes: usize) -> Self {
        self.grant = bytes;
        self
    }

    /// Whether what is no connectivity check comes from an address that passed one. `credit`: its bytes raise what the
    /// address may get (a check credits itself).
    pub(super) fn knows(&mut self, kind: Kind, path: &Path, bytes: usize, credit: bool) -> bool {
        let earned = if credit { bytes } else { 0 };
        kind != Kind::Stun && self.paths.received(path, earned)
    }

    /// A DTLS datagram, for the session. A forged plaintext record could end a hand-shake: only checked addresses are
    /// let in (`known`).
    pub(super) fn dtls(&mut self, path: Path, bytes: &[u8], known: bool, out: &mut Outbox) {
        if !known {
            return self.counters.stun_rejected.inc();
        }
        out.notices.push(Notice::Dtls(path, bytes.to_vec()));
        self.held.release(&mut self.paths, &self.counters, out);
    }

    /// Opens an SRTCP packet, which proves its path; None where it is refused (and counted).
    pub(super) fn open_rtcp(
        &mut self,
        path: Path,
        bytes: &[u8],
        known: bool,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Vec<u8>> {
        let security = self.security.as_mut();
        let readable = known && bytes.len() <= RTCP_MAX;
        let opened = security.filter(|_| readable).and_then(|security| {
            let mut packet = bytes.to_vec();
            security.inbound.open_rtcp(&mut packet).ok()?;
            // A packet that was overtaken says where the peer was, not where it is.
            Some((packet, security.inbound.rtcp_in_order()))
        });
        let Some((packet, in_order)) = opened else {
            self.counters.srtp_rejected.inc();
            return None;
        };
        self.authenticated(path, in_order, now, out);
        Some(packet)
    }

    /// Opens the SRTP packet that the published bytes hold from `start` on, in place; false where it is refused (and
    /// counted).
    pub(super) fn open_rtp(
        &mut self,
        path: Path,
        start: usize,
        known: bool,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let packet = &mut out.published.bytes;
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
        // Media proves an address that was chosen already; a move is told by RTCP, which has an order.
        let moves = self.media_path.is_none();
        self.authenticated(path, moves, now, out);
        true
    }

    fn authenticated(&mut self, path: Path, moves: bool, now: Instant, out: &mut Outbox) {
        self.heard = now;
        if self.proves(path, moves, now) {
            out.proven.push(path);
        }
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

    /// Paths differ in our own address as well, datagrams are found by the remote one alone.
    pub(super) fn tell_paths(&self, path: Path, learnt: Learnt, out: &mut Outbox) {
        // Again and again until it is proven: others may claim the address meanwhile.
        if learnt.new || !self.paths.is_proven(&path) {
            out.learnt.push(path);
        }
        out.forgotten.extend(learnt.forgotten.filter(|forgotten| {
            let at = |path: &Path| (path.socket, path.remote);
            self.paths.all().all(|known| at(known) != at(forgotten))
        }));
    }

    /// DTLS has something to say to `path`. None: to where media goes, and during the hand-shake to every checked
    /// address, since it isn't known which of them leads to the client. What an address may not get yet waits until it
    /// sent more.
    pub(super) fn transmit(&mut self, path: Option<Path>, bytes: Vec<u8>, out: &mut Outbox) {
        let Self {
            held, paths, grant, ..
        } = self;
        if let Some(path) = path.or(self.media_path) {
            return held.send(paths, grant, path, bytes, &self.counters, out);
        }
        let checked: Vec<Path> = paths.all().copied().collect();
        for path in checked {
            held.send(paths, grant, path, bytes.clone(), &self.counters, out);
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
        if !self.paths.prove(&path, now) {
            // Checks from elsewhere have pushed it out since its last datagram came; none of theirs is proven.
            if let Some(learnt) = self.paths.checked(path, 0, now) {
                self.tell_paths(path, learnt, out);
            }
            self.paths.prove(&path, now);
        }
        out.proven.push(path);
        self.proves(path, true, now);
        self.held.release(&mut self.paths, &self.counters, out);
        Ok(())
    }
}
