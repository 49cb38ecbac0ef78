//! How often something may be done: a bucket that refills evenly.

use std::time::Instant;

/// What is left to somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// A full one.
    pub(crate) fn new(burst: u32, now: Instant) -> Self {
        Self {
            left: f64::from(burst),
            at: now,
        }
    }

    /// Takes one; false where nothing is left. It refills with `count` per `seconds`, up to `burst`.
    pub(crate) fn take(&mut self, burst: u32, count: u32, seconds: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * f64::from(count) / seconds).min(f64::from(burst));
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }

    /// Nothing of it was used, or all came back.
    pub(crate) fn is_full(&self, burst: u32, count: u32, seconds: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left + passed * f64::from(count) / seconds >= f64::from(burst)
    }
}
