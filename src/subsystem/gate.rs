//! Closing once: the first caller works, others wait for it, a later one goes on where a late one gave up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::deadline::Deadline;

/// Whether a subsystem is open, being closed, or closed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Open,
    /// Somebody works on it.
    Closing,
    /// Somebody's deadline passed before the end.
    Unfinished,
    Closed,
}

/// What a caller of close has to do.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// Close, then say so.
    Work(Work<'a>),
    /// It is closed.
    Done,
    /// It isn't yet, and the deadline passed.
    TimedOut,
}

/// The work of closing. Dropped without [`Work::done`] it is left to the next caller.
#[derive(Debug)]
pub(super) struct Work<'a> {
    gate: &'a Gate,
    done: bool,
}

impl Work<'_> {
    /// Everything is closed.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        *self.gate.lock() = if self.done {
            Phase::Closed
        } else {
            Phase::Unfinished
        };
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// Takes the work, or waits for the one who has it.
    pub(super) fn enter(&self, deadline: &Deadline) -> Turn<'_> {
        let mut phase = self.lock();
        loop {
            match *phase {
                Phase::Closed => return Turn::Done,
                Phase::Open | Phase::Unfinished => {
                    *phase = Phase::Closing;
                    return Turn::Work(Work {
                        gate: self,
                        done: false,
                    });
                }
                Phase::Closing if deadline.left().is_zero() => return Turn::TimedOut,
                Phase::Closing => {
                    (phase, _) = self
                        .changed
                        .wait_timeout(phase, deadline.left())
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Nothing new may begin.
    pub(super) fn shut(&self) -> bool {
        *self.lock() != Phase::Open
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(5))
    }

    #[test]
    fn one_caller_works_and_the_others_wait_for_it() {
        let gate = Gate::default();
        assert!(!gate.shut());
        let Turn::Work(work) = gate.enter(&soon()) else {
            panic!("the first caller works");
        };
        assert!(gate.shut());
        assert!(matches!(gate.enter(&soon()), Turn::TimedOut));
        std::thread::scope(|scope| {
            let gate = &gate;
            let patient = Deadline::after(Duration::from_secs(10));
            let waiter = scope.spawn(move || matches!(gate.enter(&patient), Turn::Done));
            work.done();
            assert!(waiter.join().unwrap());
        });
        assert!(matches!(gate.enter(&soon()), Turn::Done));
    }

    #[test]
    fn work_that_was_late_is_taken_up_by_the_next_caller() {
        let gate = Gate::default();
        drop(gate.enter(&soon()));
        assert!(gate.shut());
        assert!(matches!(gate.enter(&soon()), Turn::Work(_)));
    }
}
