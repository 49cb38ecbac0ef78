//! One call at a time per process id, different ids in parallel; a wait that could never end is refused.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// Why an id could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// This very thread has it: a call from inside that id's teardown callback.
    OwnId,
    /// Its owner waits, maybe through others, for an id this thread has: two teardown callbacks that call into each
    /// other's process.
    Deadlock,
    /// The deadline passed.
    TimedOut,
}

/// Who works on which id. Owners and waiters are threads, because a host's callback can wait only on its own.
#[derive(Debug, Default)]
pub(super) struct Claims {
    inner: Mutex<Inner>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    owners: HashMap<String, ThreadId>,
    waiting: HashMap<ThreadId, String>,
}

/// The right to work on one id; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    id: &'a str,
}

impl Claims {
    /// Waits for the id, at most until `deadline`.
    pub(super) fn claim<'a>(
        &'a self,
        id: &'a str,
        deadline: Option<Instant>,
    ) -> Result<Claim<'a>, Refused> {
        let me = thread::current().id();
        let mut inner = self.lock();
        while let Some(owner) = inner.owners.get(id).copied() {
            if owner == me {
                return Err(Refused::OwnId);
            }
            if inner.waits_for(owner, me) {
                return Err(Refused::Deadlock);
            }
            inner.waiting.insert(me, id.to_owned());
            let timed_out;
            (inner, timed_out) = self.wait(inner, deadline);
            inner.waiting.remove(&me);
            if timed_out {
                return Err(Refused::TimedOut);
            }
        }
        inner.owners.insert(id.to_owned(), me);
        Ok(Claim { claims: self, id })
    }

    /// Whether the calling thread is inside a call on some id.
    pub(super) fn held_here(&self) -> bool {
        let me = thread::current().id();
        self.lock().owners.values().any(|owner| *owner == me)
    }

    /// Ids somebody works on now.
    pub(super) fn ids(&self) -> Vec<String> {
        self.lock().owners.keys().cloned().collect()
    }

    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Inner>, bool) {
        let Some(deadline) = deadline else {
            let inner = self
                .freed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
            return (inner, false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let (inner, _) = self
            .freed
            .wait_timeout(inner, left)
            .unwrap_or_else(PoisonError::into_inner);
        (inner, Instant::now() >= deadline)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Follows owner → the id it waits for → that id's owner … to `target`. A cycle can't form: its last link is
    /// refused here.
    fn waits_for(&self, mut thread: ThreadId, target: ThreadId) -> bool {
        while let Some(next) = self.waiting.get(&thread).and_then(|id| self.owners.get(id)) {
            if *next == target {
                return true;
            }
            thread = *next;
        }
        false
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.lock().owners.remove(self.id);
        self.claims.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_is_claimed_once_at_a_time_and_others_are_free() {
        let claims = Claims::default();
        let first = claims.claim("a", None).unwrap();
        assert!(claims.claim("b", None).is_ok());
        assert_eq!(claims.claim("a", None).unwrap_err(), Refused::OwnId);
        assert!(claims.held_here());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| claims.claim("a", None).map(drop));
            while claims.lock().waiting.is_empty() {
                thread::yield_now();
            }
            drop(first);
            assert!(waiter.join().unwrap().is_ok());
        });
        assert!(!claims.held_here());
        assert!(claims.lock().waiting.is_empty() && claims.lock().owners.is_empty());
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let claims = Claims::default();
        let _held = claims.claim("a", None).unwrap();
        let deadline = Instant::now() + Duration::from_millis(20);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| claims.claim("a", Some(deadline)).map(drop));
            assert_eq!(waiter.join().unwrap(), Err(Refused::TimedOut));
        });
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn two_callbacks_that_call_into_each_others_process_do_not_deadlock() {
        let claims = Claims::default();
        let (ready, is_ready) = mpsc::channel();
        thread::scope(|scope| {
            let claims = &claims;
            let mine = claims.claim("a", None).unwrap();
            let other = scope.spawn(move || {
                let _b = claims.claim("b", None).unwrap();
                ready.send(()).unwrap();
                claims.claim("a", None).map(drop)
            });
            is_ready.recv().unwrap();
            while claims.lock().waiting.is_empty() {
                thread::yield_now();
            }
            assert_eq!(claims.claim("b", None).unwrap_err(), Refused::Deadlock);
            drop(mine);
            assert!(other.join().unwrap().is_ok());
        });
    }
}
