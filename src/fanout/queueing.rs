//! How long packets wait on the way to a viewer: what a round trip takes more than the shortest of late.

use std::time::{Duration, Instant};

/// No queue.
pub(super) const QUEUE_NONE: Duration = Duration::from_millis(50);
/// A queue worth a word.
pub(super) const QUEUE_BAD: Duration = Duration::from_millis(150);
/// It grows where this much of the time between two reports goes to it: so much too fast is sent.
const GROWTH_BAD: f64 = 0.06;
/// Reports since there was no queue: one is a hiccup, or a longer way.
const TIMES: u8 = 2;
/// Reports after which a queue doesn't go away.
const STANDING_TIMES: u8 = 3;
/// The shortest round trip is of the last one to two of these: ways change.
const EPOCH: Duration = Duration::from_secs(30);
const QUEUE_MAX: Duration = Duration::from_secs(2);

/// The queue of one viewer's link.
#[derive(Debug, Default)]
pub(super) struct Queueing {
    shortest: [Option<Duration>; 2],
    epoch: Option<Instant>,
    last: Option<(Instant, Duration)>,
    queue: Duration,
    growing: u8,
    standing: u8,
}

impl Queueing {
    /// A report tells of a round trip; by what part of the time since the last the queue grew (below zero: shrank).
    /// `keep`: the shortest round trip is not forgotten, since there may have been a queue for long.
    pub(super) fn take(&mut self, rtt: Option<Duration>, now: Instant, keep: bool) -> f64 {
        let Some(rtt) = rtt else {
            return 0.0;
        };
        let epoch = *self.epoch.get_or_insert(now);
        if now.saturating_duration_since(epoch) >= EPOCH && !keep {
            self.epoch = Some(now);
            self.shortest = [None, self.shortest[0]];
        }
        self.shortest[0] = Some(self.shortest[0].map_or(rtt, |least| least.min(rtt)));
        let least = self.shortest.iter().flatten().min().copied();
        self.queue = rtt.saturating_sub(least.unwrap_or(rtt)).min(QUEUE_MAX);
        let Some((at, before)) = self.last.replace((now, rtt)) else {
            return 0.0;
        };
        let elapsed = now.saturating_duration_since(at).as_secs_f64();
        if elapsed <= 0.0 {
            return 0.0;
        }
        let growth = (rtt.as_secs_f64() - before.as_secs_f64()) / elapsed;
        if self.queue < QUEUE_NONE {
            self.growing = 0;
        } else if growth >= GROWTH_BAD {
            self.growing = self.growing.saturating_add(1);
        } else if growth <= -GROWTH_BAD {
            self.growing = self.growing.saturating_sub(1);
        }
        self.standing = match self.queue >= QUEUE_BAD && growth > -GROWTH_BAD {
            true => self.standing.saturating_add(1),
            false => 0,
        };
        growth.clamp(-0.5, 2.0)
    }

    /// There may be one.
    pub(super) fn seems(&self) -> bool {
        self.queue >= QUEUE_NONE
    }

    /// It is long and still grows.
    pub(super) fn grows(&self) -> bool {
        self.growing >= TIMES && self.queue >= QUEUE_BAD
    }

    /// It is long and doesn't go away.
    pub(super) fn stands(&self) -> bool {
        self.standing >= STANDING_TIMES
    }

    /// How long it is.
    pub(super) fn queue(&self) -> Duration {
        self.queue
    }

    /// What seemed a queue is the way.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was seen so far has been answered.
    pub(super) fn calm(&mut self) {
        (self.growing, self.standing) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(trips_ms: &[u64]) -> Queueing {
        let start = Instant::now();
        let mut queueing = Queueing::default();
        for (second, ms) in trips_ms.iter().enumerate() {
            let now = start + Duration::from_secs(second as u64);
            queueing.take(Some(Duration::from_millis(*ms)), now, false);
        }
        queueing
    }

    #[test]
    fn a_queue_grows_where_round_trips_do_again_and_again() {
        assert!(after(&[40, 240, 440]).grows());
        assert!(!after(&[40, 440]).grows(), "once");
        assert!(!after(&[40, 440, 450]).grows(), "another way");
        assert!(!after(&[40, 90, 160]).grows(), "not long");
        assert!(!after(&[40, 400, 40, 400, 40, 400]).grows(), "jitter");
    }

    #[test]
    fn a_queue_stands_where_round_trips_stay_long_and_a_longer_way_is_none_after_a_while() {
        assert!(after(&[40, 400, 400, 400]).stands());
        assert!(!after(&[40, 400, 330, 250, 170]).stands(), "it shrinks");
        let long: Vec<u64> = [40].into_iter().chain([400; 70]).collect();
        assert_eq!(after(&long).queue(), Duration::ZERO);
    }

    #[test]
    fn a_part_of_the_time_goes_to_a_queue() {
        let now = Instant::now();
        let mut queueing = Queueing::default();
        assert_eq!(queueing.take(None, now, false), 0.0);
        queueing.take(Some(Duration::from_millis(50)), now, false);
        let later = now + Duration::from_secs(2);
        let growth = queueing.take(Some(Duration::from_millis(550)), later, false);
        assert!((growth - 0.25).abs() < 1e-9);
        assert_eq!(queueing.queue(), Duration::from_millis(500));
        assert_eq!(queueing.take(Some(Duration::ZERO), later, false), 0.0);
    }
}
