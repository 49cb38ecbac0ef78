//! A publisher's clock that stood still while it sent nothing (a muted source without samples), told apart from a network
//! that held everything back: behind that what is owed comes in at once.

use std::time::{Duration, Instant};

/// Owed by less, a medium is not out of place: FFmpeg and viewers wait for it.
const LEAST_US: i64 = 500_000;
/// What is not caught up on within this never will be. Each time something was, it begins anew.
const PATIENCE: Duration = Duration::from_secs(1);
/// This much caught up in that time is something.
const PROGRESS_US: i64 = 200_000;

/// The time that passed for one medium of a publisher and that its timestamps don't know of.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Owed>);

#[derive(Debug)]
struct Owed {
    us: i64,
    then_us: i64,
    since: Instant,
}

impl Stall {
    /// A packet stands `step_us` behind the one before and came `passed_us` after it: what the line is to be moved by, for
    /// it is owed for good.
    pub(super) fn step(&mut self, step_us: i64, passed_us: i64, now: Instant) -> Option<i64> {
        let more_us = passed_us.saturating_sub(step_us);
        let owed = match &mut self.0 {
            Some(owed) => owed,
            None if more_us < LEAST_US => return None,
            none => none.insert(Owed {
                us: 0,
                then_us: more_us,
                since: now,
            }),
        };
        owed.us = owed.us.saturating_add(more_us);
        if owed.us < LEAST_US {
            self.0 = None;
            return None;
        }
        if now.saturating_duration_since(owed.since) < PATIENCE {
            return None;
        }
        if owed.then_us - owed.us >= PROGRESS_US {
            (owed.then_us, owed.since) = (owed.us, now);
            return None;
        }
        self.0.take().map(|owed| owed.us)
    }

    /// The line was moved already.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
