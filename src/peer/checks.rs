//! A peer's connectivity checks: who may make an address known, what is answered, and ICE restarts.

use std::time::Instant;

use super::ice::credentials::Credentials;
use super::ice::stun::{self, StunError};
use super::link::Link;
use super::outbox::{Notice, Outbox};

use crate::net::Path;

impl Link {
    /// RFC 8445 §7.3: a check that authenticates makes its address known and is answered.
    pub(super) fn stun(&mut self, path: Path, bytes: &[u8], now: Instant, out: &mut Outbox) {
        let request = stun::BindingRequest::parse(bytes).ok();
        let pwd = request
            .as_ref()
            .and_then(|request| self.generations.pwd(request.local_ufrag, now))
            .map(str::to_owned);
        let (Some(request), Some(pwd)) = (request, pwd) else {
            return self.counters.stun_rejected.inc();
        };
        let verdict = request.verify(&pwd);
        if !matches!(verdict, Ok(()) | Err(StunError::UnknownAttribute)) {
            return self.counters.stun_rejected.inc();
        }
        let Some(learnt) = self.paths.checked(path, bytes.len(), now) else {
            return self.counters.stun_rejected.inc();
        };
        self.tell_paths(path, learnt, out);
        if self.paths.is_proven(&path) || self.security.is_none() {
            self.heard = now;
        }
        let mut answer = Vec::with_capacity(96);
        let understood = verdict == Ok(()) && !request.controlled;
        if understood && request.use_candidate {
            self.generations.nominated(request.local_ufrag, now);
            if self.moves.first_time(&request.transaction) {
                self.nominated(path, now);
            }
        }
        out.retired.extend(self.generations.expire(now));
        if verdict != Ok(()) {
            stun::write_unknown(&mut answer, &request, &pwd);
        } else if request.controlled {
            // RFC 8445 §7.3.1.1: we are lite, so always controlled; a peer that says so too must switch.
            stun::write_error(
                &mut answer,
                &request.transaction,
                487,
                "Role Conflict",
                &pwd,
            );
        } else {
            stun::write_success(
                &mut answer,
                &request.transaction,
                path.remote_canonical(),
                &pwd,
            );
        }
        if self.paths.spend(&path, answer.len()) {
            out.send.push((path, answer));
        }
        if understood && self.security.is_none() {
            out.notices.push(Notice::Checked(path));
        }
        self.held.release(&mut self.paths, &self.counters, out);
    }

    /// An ICE restart: its checks may be signed with these credentials as well. Media goes on where it goes.
    pub(super) fn restart_ice(&mut self, credentials: Credentials, out: &mut Outbox) {
        out.retired.extend(self.generations.restart(credentials));
    }

    /// Every ufrag it may be found by.
    pub(super) fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.generations.ufrags()
    }
}
