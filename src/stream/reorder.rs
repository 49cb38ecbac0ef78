//! Packets that overtook another one, held until that one comes or is given up.
//!
//! Loopback keeps the order unless the kernel is busy on another core: few packets, for a moment. A hole that stays open
//! for 1 ms is a loss and goes on to the viewers as one.

use std::time::{Duration, Instant};

use crate::rtp::header::Header;

/// A packet further ahead than this overtook nobody: what is missing is lost.
pub(super) const WINDOW: u16 = 16;

const GIVE_UP: Duration = Duration::from_millis(1);

/// A packet that came too early, with its extended sequence number.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) seq: u64,
    pub(super) header: Header,
    pub(super) payload: Box<[u8]>,
}

/// The packets of one medium that wait; empty nearly always.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    waiting: Vec<Early>,
    since: Option<Instant>,
}

impl Reorder {
    /// Keeps a packet; false where it is there already.
    pub(super) fn hold(&mut self, early: Early, now: Instant) -> bool {
        if self.waiting.iter().any(|kept| kept.seq == early.seq) {
            return false;
        }
        self.since.get_or_insert(now);
        self.waiting.push(early);
        true
    }

    /// The packet with this number, if it waits.
    pub(super) fn take(&mut self, seq: u64) -> Option<Early> {
        let at = self.waiting.iter().position(|kept| kept.seq == seq)?;
        let early = self.waiting.swap_remove(at);
        if self.waiting.is_empty() {
            self.since = None;
        }
        Some(early)
    }

    /// Whether packets wait that come before this one.
    pub(super) fn waits_before(&self, seq: u64) -> bool {
        self.waiting.iter().any(|kept| kept.seq < seq)
    }

    /// When the hole in front of the waiting packets is given up.
    pub(super) fn gives_up_at(&self) -> Option<Instant> {
        Some(self.since? + GIVE_UP)
    }

    /// All that waits, in order.
    pub(super) fn take_all(&mut self) -> Vec<Early> {
        self.since = None;
        self.waiting.sort_by_key(|early| early.seq);
        std::mem::take(&mut self.waiting)
    }
}
