//! A deadline that leaves out the time spent in the host's callbacks.

use std::time::{Duration, Instant};

/// When our own work has to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
}

impl Deadline {
    /// From now on.
    pub(super) fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        // A timeout beyond the clock's range is no deadline worth keeping exactly.
        let far = Duration::from_secs(365 * 24 * 3600);
        Self {
            at: now + timeout.min(far),
        }
    }

    /// When it is reached.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Runs a callback of the host's: the time it takes moves the deadline.
    pub(super) fn exempt<R>(&mut self, callback: impl FnOnce() -> R) -> R {
        let before = Instant::now();
        let answer = callback();
        self.at += before.elapsed();
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_time_does_not_count() {
        let mut deadline = Deadline::after(Duration::from_millis(100));
        let before = deadline.at();
        let spent = deadline.exempt(|| {
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(5));
            start.elapsed()
        });
        assert!(deadline.at() >= before + spent);
        assert!(deadline.left() > Duration::ZERO);
    }

    #[test]
    fn an_endless_timeout_does_not_overflow() {
        assert!(Deadline::after(Duration::MAX).left() > Duration::from_secs(3600));
    }
}
