//! One callback: fn, user data, release. When `set` returns, the old fn is not running and never runs again, and its
//! release was called; from inside that very callback it returns at once and the last call to return releases.
//!
//! All slots share one table of who runs and who waits: it is held for bookkeeping only, and it shows a cycle of
//! callbacks that would wait for each other, which is refused.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::guard::{Entered, Frame};
use crate::error::Error;
use crate::ffi::abi::corertc_release_fn;

/// What the host gave: the fn is called with the user data, which is released once.
pub(in crate::ffi) struct Registration<F> {
    id: u64,
    fun: F,
    user_data: *mut c_void,
    release: corertc_release_fn,
    /// Replaced from inside itself: the last call to return releases.
    orphaned: AtomicBool,
}

// SAFETY: the pointer is only handed back to the host's own functions, which by contract may run on any thread.
unsafe impl<F: Send> Send for Registration<F> {}
// SAFETY: as above; nothing is read through the pointer here.
unsafe impl<F: Sync> Sync for Registration<F> {}

impl<F> Registration<F> {
    fn release(&self) {
        if let Some(release) = self.release {
            // SAFETY: the host's fn with the user data that came with it; called once (see `set` and `leave`).
            unsafe { release(self.user_data) };
        }
    }
}

/// Holds at most one registration.
pub(in crate::ffi) struct Slot<F> {
    state: Mutex<State<F>>,
}

struct State<F> {
    current: Option<Arc<Registration<F>>>,
    sealed: bool,
}

impl<F> Default for Slot<F> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<F> Slot<F> {
    /// No callback set.
    pub(super) const fn empty() -> Self {
        let state = State {
            current: None,
            sealed: false,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// State where sealed.
    pub(super) fn refuse_sealed(&self) -> Result<(), Error> {
        if self.lock().sealed {
            return Err(Error::State("the subsystem is closed".to_owned()));
        }
        Ok(())
    }

    /// From now on `set` is refused.
    pub(super) fn seal(&self) {
        self.lock().sealed = true;
    }
}

impl<F: Copy> Slot<Option<F>> {
    /// Replaces the callback; None detaches, and then the user data is not taken. Refused (State) where sealed or where
    /// waiting for the old one would deadlock; then nothing changed and the user data stays with the caller.
    pub(in crate::ffi) fn set(
        &self,
        fun: Option<F>,
        user_data: *mut c_void,
        release: corertc_release_fn,
    ) -> Result<(), Error> {
        self.replace(fun, user_data, release, false)
    }

    /// Detaches, sealed or not.
    pub(super) fn clear(&self) {
        // From inside a cycle of callbacks the registration stays; freeing there is against the contract.
        let _ = self.replace(None, std::ptr::null_mut(), None, true);
    }

    fn replace(
        &self,
        fun: Option<F>,
        user_data: *mut c_void,
        release: corertc_release_fn,
        sealed_too: bool,
    ) -> Result<(), Error> {
        let new = fun.map(|fun| {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            Arc::new(Registration {
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                fun: Some(fun),
                user_data,
                release,
                orphaned: AtomicBool::new(false),
            })
        });
        let mut state = self.lock();
        if state.sealed && !sealed_too {
            return Err(Error::State("the subsystem is closed".to_owned()));
        }
        let mut table = TABLE.lock();
        let me = me();
        let busy = state.current.as_ref().map(|old| table.busy(old.id, me));
        if busy == Some(Busy::Deadlock) {
            return Err(Error::State(
                "the callback waits for the one it is replaced from".to_owned(),
            ));
        }
        let old = std::mem::replace(&mut state.current, new);
        let (Some(old), Some(busy)) = (old, busy) else {
            return Ok(());
        };
        if busy == Busy::Here {
            old.orphaned.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if busy == Busy::Elsewhere {
            table.waiting.push((me, old.id));
            drop(state);
            while table.running.iter().any(|run| run.1 == old.id) {
                table = TABLE.wait(table);
            }
            table.waiting.retain(|wait| wait.0 != me);
        } else {
            drop(state);
        }
        drop(table);
        old.release();
        Ok(())
    }

    /// Runs the callback, if there is one, with no lock held.
    pub(super) fn call<R>(&self, frame: Frame, run: impl FnOnce(F, *mut c_void) -> R) -> Option<R> {
        let registration = {
            let state = self.lock();
            let registration = state.current.clone()?;
            // While the slot is locked: a replacement sees this call, or this call sees the replacement.
            TABLE.lock().running.push((me(), registration.id));
            registration
        };
        let _leave = Leave {
            registration: &registration,
        };
        let _entered = Entered::new(frame);
        Some(run(registration.fun?, registration.user_data))
    }
}

/// Ends a call, unwinding included.
struct Leave<'a, F> {
    registration: &'a Registration<F>,
}

impl<F> Drop for Leave<'_, F> {
    fn drop(&mut self) {
        let me = me();
        let id = self.registration.id;
        let mut table = TABLE.lock();
        if let Some(at) = table.running.iter().rposition(|run| *run == (me, id)) {
            table.running.swap_remove(at);
        }
        let last = !table.running.iter().any(|run| run.1 == id);
        // While the table is locked: only one call is the last one.
        let release = last && self.registration.orphaned.load(Ordering::Relaxed);
        drop(table);
        TABLE.changed.notify_all();
        if release {
            self.registration.release();
        }
    }
}

/// A thread, as long as it lives. Unlike std's, it can be asked for while the thread's locals are being dropped, and it
/// leaves nothing allocated behind on a host's thread.
type ThreadKey = u64;

fn me() -> ThreadKey {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static ME: ThreadKey = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    ME.with(|me| *me)
}

/// Calls that run and replacements that wait, of all slots: (thread, registration).
#[derive(Default)]
struct Table {
    running: Vec<(ThreadKey, u64)>,
    waiting: Vec<(ThreadKey, u64)>,
}

#[derive(PartialEq, Eq)]
enum Busy {
    No,
    Here,
    Elsewhere,
    Deadlock,
}

impl Table {
    fn busy(&self, id: u64, me: ThreadKey) -> Busy {
        let mut reached: Vec<ThreadKey> = self.runners(id).collect();
        if reached.is_empty() {
            return Busy::No;
        }
        if reached.contains(&me) {
            return Busy::Here;
        }
        // Who waits for whom: each thread waits for one registration at most, which several may be running.
        let mut next = 0;
        while let Some(thread) = reached.get(next).copied() {
            next += 1;
            for (_, wanted) in self.waiting.iter().filter(|wait| wait.0 == thread) {
                for runner in self.runners(*wanted) {
                    if runner == me {
                        return Busy::Deadlock;
                    }
                    if !reached.contains(&runner) {
                        reached.push(runner);
                    }
                }
            }
        }
        Busy::Elsewhere
    }

    fn runners(&self, id: u64) -> impl Iterator<Item = ThreadKey> {
        self.running
            .iter()
            .filter(move |run| run.1 == id)
            .map(|run| run.0)
    }
}

struct SharedTable {
    table: Mutex<Table>,
    changed: Condvar,
}

static TABLE: SharedTable = SharedTable {
    table: Mutex::new(Table {
        running: Vec::new(),
        waiting: Vec::new(),
    }),
    changed: Condvar::new(),
};

impl SharedTable {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        self.changed
            .wait(table)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
