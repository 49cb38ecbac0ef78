//! When media follows a peer to another address before it has said more than a check from there.
//!
//! A NAT that forgets its mapping changes a client's port, then its address, and the client doesn't know: what it says
//! next comes from elsewhere, its checks every few seconds and its reports when they are due. A lite agent takes the
//! pair that a check nominates (RFC 8445 §8.1.1), so media goes there. But checks can be recorded and sent again from a
//! forged address, which would turn the stream on a third party. So a check moves media only where
//!
//! - it nominates its pair, and its transaction was not heard before,
//! - nothing came from where media goes for a second: a client that is still there is heard of more often,
//!
//! and only for a few seconds: if nothing but checks comes from there, each new check is good for as long again, and as
//! soon as the old address is heard of, media is back there. An SRTCP packet moves media at once and for good.

use std::time::{Duration, Instant};

use super::link::Link;
use crate::net::Path;

/// The old address said nothing for so long. Browsers report their reception every second.
const SILENT: Duration = Duration::from_secs(1);
/// A nomination holds so long; browsers check a pair every 2.5 s.
const TRIAL: Duration = Duration::from_secs(5);
/// Transactions remembered: some minutes of a pair in use.
const REMEMBERED: usize = 64;

/// What a peer's checks said of its way.
#[derive(Debug)]
pub(super) struct Moves {
    /// The first halves of transaction ids, which are random (RFC 8489 §5).
    transactions: [u64; REMEMBERED],
    next: usize,
    /// When something new came from where media goes.
    heard: Instant,
    /// Nominated, while the old address may still be in use.
    waiting: Option<Path>,
    /// Media goes to an address by a nomination alone, until then.
    trial: Option<Instant>,
}

impl Moves {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            transactions: [0; REMEMBERED],
            next: 0,
            heard: now,
            waiting: None,
            trial: None,
        }
    }

    /// Remembers a transaction; false where it is known.
    pub(super) fn first_time(&mut self, transaction: &[u8; 12]) -> bool {
        let (half, _) = transaction.split_first_chunk().expect("12 bytes have 8");
        let half = u64::from_be_bytes(*half);
        if self.transactions.contains(&half) {
            return false;
        }
        self.transactions[self.next] = half;
        self.next = (self.next + 1) % REMEMBERED;
        true
    }

    /// Something that was authenticated, and never came before, came from where media goes: it stays there.
    fn stays(&mut self, now: Instant) {
        self.heard = now;
        self.waiting = None;
    }
}

impl Link {
    /// A check that was not heard before nominated `path`.
    pub(super) fn nominated(&mut self, path: Path, now: Instant) {
        let Some(current) = self.media_path else {
            return;
        };
        if current == path {
            self.moves.stays(now);
            if let Some(until) = &mut self.moves.trial {
                *until = now + TRIAL;
                self.heard = now;
            }
            return;
        }
        self.moves.waiting = Some(path);
        self.follow(now);
    }

    /// SRTCP or SRTP from `path` authenticated, or the hand-shake ended there. `moves`: it is the latest there is. True
    /// where another path was proven last.
    pub(super) fn proves(&mut self, path: Path, moves: bool, now: Instant) -> bool {
        if moves {
            let new = self.paths.prove(&path, now);
            if self.paths.selected() == Some(&path) {
                self.media_path = Some(path);
                self.moves.trial = None;
                self.moves.stays(now);
            }
            return new;
        }
        if self.media_path == Some(path) {
            self.moves.stays(now);
        }
        false
    }

    /// Does what nominations want done by time.
    pub(super) fn follow(&mut self, now: Instant) {
        if now.saturating_duration_since(self.moves.heard) >= SILENT
            && let Some(path) = self.moves.waiting.take()
        {
            self.media_path = Some(path);
            self.moves.heard = now;
            self.moves.trial = Some(now + TRIAL);
            self.heard = now;
        }
        if self.moves.trial.is_some_and(|until| until <= now) {
            self.moves.trial = None;
            self.media_path = self.paths.selected().copied();
        }
    }
}
