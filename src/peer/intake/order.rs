//! One source's packets in order: what came early waits for what is missing, which is asked for again, for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A hole is asked for only after this: packets overtake each other on every path.
const REORDER: Duration = Duration::from_millis(8);
/// Between two requests for the same packet.
const ASK_EVERY: Duration = Duration::from_millis(40);
const ASKS_MAX: u8 = 5;
/// Packets that may wait, and that may be missing; a source with more has lost them.
const WINDOW: u64 = 1024;
/// So many old packets in a row: the sender counts anew.
const RESTART_AFTER: u32 = 64;

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On, with everything that [`Order::release`] gives after it.
    Now,
    /// Into [`Order::hold`]: something before it is missing.
    Later,
    /// Nowhere: it was here before, or came too late.
    Never,
    /// Nothing fits any more: [`Order::give_up_all`], then ask again.
    Overflow,
}

/// A packet that waits: header and payload; empty for padding, which only takes its place.
pub(super) type Held = Box<[u8]>;

#[derive(Debug)]
struct Missing {
    seq: u64,
    since: Instant,
    ask_at: Instant,
    asks: u8,
}

/// The order of one source.
#[derive(Debug)]
pub(super) struct Order {
    next: u64,
    highest: u64,
    waiting: BTreeMap<u64, Held>,
    missing: Vec<Missing>,
    patience: Duration,
    asks: bool,
    old_in_a_row: u32,
    /// Packets that were missing and came after they were asked for.
    pub(super) repaired: u64,
    /// Packets given up.
    pub(super) lost: u64,
}

impl Order {
    /// Begins with `first`. A hole is waited for as long as `patience` says, and asked for where `asks`.
    pub(super) fn new(first: u64, patience: Duration, asks: bool) -> Self {
        Self {
            next: first,
            highest: first.saturating_sub(1),
            waiting: BTreeMap::new(),
            missing: Vec::new(),
            patience,
            asks,
            old_in_a_row: 0,
            repaired: 0,
            lost: 0,
        }
    }

    /// Where the packet with this number goes.
    pub(super) fn admit(&mut self, seq: u64, now: Instant) -> Place {
        if seq < self.next {
            self.old_in_a_row += 1;
            if self.old_in_a_row < RESTART_AFTER {
                return Place::Never;
            }
            *self = Self::new(seq, self.patience, self.asks);
        }
        if seq >= self.next + WINDOW || self.waiting.contains_key(&seq) {
            return match self.waiting.contains_key(&seq) {
                true => Place::Never,
                false => Place::Overflow,
            };
        }
        self.old_in_a_row = 0;
        if let Ok(index) = self.missing.binary_search_by_key(&seq, |it| it.seq) {
            self.repaired += u64::from(self.missing.remove(index).asks > 0);
        }
        for seq in self.highest.max(self.next.saturating_sub(1)) + 1..seq {
            self.missing.push(Missing {
                seq,
                since: now,
                ask_at: now + REORDER,
                asks: 0,
            });
        }
        self.highest = self.highest.max(seq);
        if seq > self.next {
            return Place::Later;
        }
        self.next += 1;
        Place::Now
    }

    /// Keeps a packet that was to wait.
    pub(super) fn hold(&mut self, seq: u64, packet: Held) {
        self.waiting.insert(seq, packet);
    }

    /// The next packet in order, if it is there.
    pub(super) fn release(&mut self) -> Option<(u64, Held)> {
        let packet = self.waiting.remove(&self.next)?;
        self.next += 1;
        Some((self.next - 1, packet))
    }

    /// Gives up one missing packet whose time is over; what it held back is for [`Order::release`].
    pub(super) fn give_up(&mut self, now: Instant) -> bool {
        let over = |it: &Missing| now.saturating_duration_since(it.since) >= self.patience;
        if !self.missing.first().is_some_and(over) {
            return false;
        }
        self.next = self.missing.remove(0).seq + 1;
        self.lost += 1;
        true
    }

    /// Gives up everything missing before `seq`, which will be the next; what waited comes back in order.
    pub(super) fn give_up_all(&mut self, seq: u64) -> BTreeMap<u64, Held> {
        let waiting = std::mem::take(&mut self.waiting);
        self.lost += (seq - self.next).saturating_sub(waiting.len() as u64);
        self.missing.clear();
        self.next = seq;
        self.highest = seq - 1;
        waiting
    }

    /// The numbers to ask for now.
    pub(super) fn asks(&mut self, now: Instant) -> Vec<u16> {
        let mut due = Vec::new();
        if !self.asks {
            return due;
        }
        for it in &mut self.missing {
            if it.asks < ASKS_MAX && it.ask_at <= now {
                it.asks += 1;
                it.ask_at = now + ASK_EVERY;
                due.push(it.seq as u16);
            }
        }
        due
    }

    /// When something is to be asked for or given up.
    pub(super) fn due(&self) -> Option<Instant> {
        let give_up = self.missing.first()?.since + self.patience;
        let ask = self.missing.iter().filter(|it| it.asks < ASKS_MAX);
        let ask = ask.map(|it| it.ask_at).min().filter(|_| self.asks);
        Some(ask.map_or(give_up, |ask| ask.min(give_up)))
    }

    /// The number nearest to what is expected that ends in `seq`.
    pub(super) fn extend(&self, seq: u16) -> u64 {
        super::reception::extend(self.next, seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    const NONE: [u64; 0] = [];

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn take(order: &mut Order, seq: u64, now: Instant) -> Vec<u64> {
        let mut out = Vec::new();
        match order.admit(seq, now) {
            Place::Now => out.push(seq),
            Place::Later => order.hold(seq, Box::default()),
            Place::Never => {}
            Place::Overflow => {
                out.extend(order.give_up_all(seq).into_keys());
                assert_eq!(order.admit(seq, now), Place::Now);
                out.push(seq);
            }
        }
        out.extend(std::iter::from_fn(|| order.release()).map(|(seq, _)| seq));
        out
    }

    #[test]
    fn what_overtakes_waits_and_is_not_asked_for_if_it_comes_at_once() {
        let (mut order, t) = (Order::new(10, PATIENCE, true), Instant::now());
        assert_eq!(take(&mut order, 10, t), [10]);
        assert_eq!(take(&mut order, 13, t), NONE);
        assert_eq!(order.due(), Some(t + REORDER));
        assert_eq!(order.asks(t + ms(7)), Vec::<u16>::new());
        assert_eq!(take(&mut order, 11, t + ms(7)), [11]);
        assert_eq!(order.asks(t + ms(8)), [12]);
        assert_eq!(take(&mut order, 12, t + ms(9)), [12, 13]);
        assert_eq!((order.due(), order.repaired, order.lost), (None, 1, 0));
        assert_eq!(take(&mut order, 12, t + ms(9)), NONE);
    }

    #[test]
    fn a_missing_packet_is_asked_for_a_few_times_then_given_up() {
        let (mut order, t) = (Order::new(0, PATIENCE, true), Instant::now());
        take(&mut order, 0, t);
        take(&mut order, 2, t);
        let mut asked = Vec::new();
        let mut now = t;
        while let Some(due) = order.due() {
            now = due;
            asked.extend(order.asks(now));
            if order.give_up(now) {
                break;
            }
        }
        assert_eq!(asked, [1; 5]);
        assert_eq!(now, t + PATIENCE);
        assert_eq!(order.release().map(|(seq, _)| seq), Some(2));
        assert_eq!((order.lost, order.repaired), (1, 0));
        assert_eq!(order.admit(1, now), Place::Never);
    }

    #[test]
    fn without_feedback_nothing_is_asked_for() {
        let (mut order, t) = (Order::new(10, PATIENCE, false), Instant::now());
        take(&mut order, 11, t);
        assert_eq!(order.asks(t + ms(100)), Vec::<u16>::new());
        assert_eq!(order.due(), Some(t + PATIENCE));
    }

    #[test]
    fn a_jump_gives_up_what_is_missing_and_keeps_what_waits() {
        let (mut order, t) = (Order::new(0, PATIENCE, true), Instant::now());
        take(&mut order, 0, t);
        take(&mut order, 2, t);
        assert_eq!(take(&mut order, 5000, t), [2, 5000]);
        assert_eq!(order.lost, 4998);
        assert_eq!(take(&mut order, 5001, t), [5001]);
        assert_eq!(order.due(), None);
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed_after_a_while() {
        let (mut order, t) = (Order::new(60_000, PATIENCE, true), Instant::now());
        take(&mut order, 60_000, t);
        let taken: usize = (40_000..40_100).map(|n| take(&mut order, n, t).len()).sum();
        assert_eq!(taken, 100 - RESTART_AFTER as usize + 1);
    }
}
