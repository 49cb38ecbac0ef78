//! Replace, detach, re-enter, release once; what waits, and what would wait for itself.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use super::guard::{Frame, Kind};
use super::slot::Slot;
use crate::error::Error;

type Fun = fn(&Host);

/// What a test's callback works with; the user data points to one.
struct Host {
    calls: AtomicU32,
    released: AtomicU32,
    slot: Slot<Option<Fun>>,
    other: Mutex<Option<Arc<Host>>>,
    both_inside: &'static Barrier,
    entered: Mutex<Option<Sender<()>>>,
    leave: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    outcome: Mutex<Option<Result<(), Error>>>,
}

impl Host {
    fn new() -> Arc<Self> {
        static BOTH: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
        Arc::new(Self {
            calls: AtomicU32::new(0),
            released: AtomicU32::new(0),
            slot: Slot::default(),
            other: Mutex::new(None),
            both_inside: &BOTH,
            entered: Mutex::new(None),
            leave: Mutex::new(None),
            outcome: Mutex::new(None),
        })
    }

    fn data(self: &Arc<Self>) -> *mut c_void {
        Arc::as_ptr(self).cast_mut().cast()
    }

    fn count(&self) -> (u32, u32) {
        (
            self.calls.load(Ordering::SeqCst),
            self.released.load(Ordering::SeqCst),
        )
    }
}

unsafe extern "C" fn release(user_data: *mut c_void) {
    // SAFETY: every test keeps its Host until all threads are joined.
    let host = unsafe { &*user_data.cast::<Host>() };
    host.released.fetch_add(1, Ordering::SeqCst);
}

fn call(slot: &Slot<Option<Fun>>) -> bool {
    slot.call(Frame::new(Kind::Event, 1, ""), |fun, user_data| {
        // SAFETY: as in `release`.
        fun(unsafe { &*user_data.cast::<Host>() });
    })
    .is_some()
}

fn count_it(host: &Host) {
    host.calls.fetch_add(1, Ordering::SeqCst);
}

/// Says that it runs, then stays until told.
fn block(host: &Host) {
    let entered = host.entered.lock().expect("lock").take();
    let leave = host.leave.lock().expect("lock").take();
    if let (Some(entered), Some(leave)) = (entered, leave) {
        entered.send(()).expect("a waiting test");
        leave.recv().expect("a word from the test");
    }
    count_it(host);
}

/// A thread inside `block`, and the way to let it go.
fn blocked(host: &Arc<Host>) -> (thread::JoinHandle<bool>, Sender<()>) {
    let (entered, wait) = channel();
    let (go, leave) = channel();
    *host.entered.lock().expect("lock") = Some(entered);
    *host.leave.lock().expect("lock") = Some(leave);
    let inside = Arc::clone(host);
    let thread = thread::spawn(move || call(&inside.slot));
    wait.recv().expect("the callback runs");
    (thread, go)
}

#[test]
fn replacing_and_detaching_release_each_user_data_once() {
    let (first, second) = (Host::new(), Host::new());
    let slot = Slot::<Option<Fun>>::default();
    assert!(!call(&slot));
    assert_eq!(
        slot.set(Some(count_it), first.data(), Some(release)),
        Ok(())
    );
    assert!(call(&slot));
    assert_eq!(
        slot.set(Some(count_it), second.data(), Some(release)),
        Ok(())
    );
    assert_eq!(first.count(), (1, 1));
    assert!(call(&slot));
    assert_eq!(slot.set(None, first.data(), Some(release)), Ok(()));
    assert!(!call(&slot));
    assert_eq!(slot.set(None, std::ptr::null_mut(), None), Ok(()));
    assert_eq!((first.count(), second.count()), ((1, 1), (1, 1)));
}

#[test]
fn a_sealed_slot_leaves_user_data_with_the_caller_and_still_calls() {
    let (first, second) = (Host::new(), Host::new());
    let slot = Slot::<Option<Fun>>::default();
    assert_eq!(
        slot.set(Some(count_it), first.data(), Some(release)),
        Ok(())
    );
    slot.seal();
    let refused = slot.set(Some(count_it), second.data(), Some(release));
    assert!(matches!(refused, Err(Error::State(_))));
    assert!(call(&slot));
    slot.clear();
    slot.clear();
    assert_eq!((first.count(), second.count()), ((1, 1), (0, 0)));
}

#[test]
fn a_replacement_waits_for_the_call_that_runs() {
    let host = Host::new();
    assert_eq!(
        host.slot.set(Some(block), host.data(), Some(release)),
        Ok(())
    );
    let (inside, go) = blocked(&host);
    let (done, replaced) = channel();
    let setter = Arc::clone(&host);
    let setting = thread::spawn(move || {
        let outcome = setter.slot.set(None, std::ptr::null_mut(), None);
        done.send(setter.count()).expect("the test waits");
        outcome
    });
    assert!(replaced.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(host.count(), (0, 0));
    go.send(()).expect("the callback waits");
    assert_eq!(replaced.recv(), Ok((1, 1)));
    assert!(inside.join().expect("joined"));
    assert_eq!(setting.join().expect("joined"), Ok(()));
}

#[test]
fn a_callback_that_detaches_itself_is_released_when_it_returns() {
    fn detach(host: &Host) {
        for _ in 0..2 {
            *host.outcome.lock().expect("lock") =
                Some(host.slot.set(None, std::ptr::null_mut(), None));
        }
        assert_eq!(host.released.load(Ordering::SeqCst), 0);
        count_it(host);
    }
    let host = Host::new();
    assert_eq!(
        host.slot.set(Some(detach), host.data(), Some(release)),
        Ok(())
    );
    assert!(call(&host.slot));
    assert!(!call(&host.slot));
    assert_eq!(host.count(), (1, 1));
    assert_eq!(*host.outcome.lock().expect("lock"), Some(Ok(())));
}

#[test]
fn one_of_two_calls_that_detaches_leaves_the_release_to_the_last() {
    fn detach_or_block(host: &Host) {
        if host.calls.load(Ordering::SeqCst) == 7 {
            *host.outcome.lock().expect("lock") =
                Some(host.slot.set(None, std::ptr::null_mut(), None));
        } else {
            block(host);
        }
    }
    let host = Host::new();
    let fun: Fun = detach_or_block;
    assert_eq!(host.slot.set(Some(fun), host.data(), Some(release)), Ok(()));
    let (inside, go) = blocked(&host);
    host.calls.store(7, Ordering::SeqCst);
    assert!(call(&host.slot));
    assert_eq!(host.count(), (7, 0));
    go.send(()).expect("the callback waits");
    assert!(inside.join().expect("joined"));
    assert_eq!(host.count(), (8, 1));
}

#[test]
fn a_panic_inside_a_callback_still_ends_the_call() {
    let host = Host::new();
    let fun: Fun = |_| panic!("on purpose");
    assert_eq!(host.slot.set(Some(fun), host.data(), Some(release)), Ok(()));
    let inside = Arc::clone(&host);
    assert!(thread::spawn(move || call(&inside.slot)).join().is_err());
    assert_eq!(host.slot.set(None, std::ptr::null_mut(), None), Ok(()));
    assert_eq!(host.count(), (0, 1));
}

#[test]
fn of_two_callbacks_that_would_wait_for_each_other_one_is_refused() {
    fn replace_the_other(host: &Host) {
        let other = host.other.lock().expect("lock").take().expect("set");
        host.both_inside.wait();
        let outcome = other.slot.set(None, std::ptr::null_mut(), None);
        *host.outcome.lock().expect("lock") = Some(outcome);
    }
    let (one, two) = (Host::new(), Host::new());
    for (host, other) in [(&one, &two), (&two, &one)] {
        *host.other.lock().expect("lock") = Some(Arc::clone(other));
        let fun: Fun = replace_the_other;
        assert_eq!(host.slot.set(Some(fun), host.data(), Some(release)), Ok(()));
    }
    let threads = [&one, &two].map(|host| {
        let host = Arc::clone(host);
        thread::spawn(move || call(&host.slot))
    });
    for thread in threads {
        assert!(thread.join().expect("joined"));
    }
    let outcomes = [&one, &two].map(|host| host.outcome.lock().expect("lock").take());
    let refused =
        |outcome: &&Option<Result<(), Error>>| matches!(outcome, Some(Err(Error::State(_))));
    assert_eq!(outcomes.iter().filter(refused).count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&Some(Ok(()))), "{outcomes:?}");
    assert_eq!(one.count().1 + two.count().1, 1);
}

#[test]
fn under_load_each_user_data_is_released_once_and_never_called_afterwards() {
    fn alive(host: &Host) {
        assert_eq!(host.released.load(Ordering::SeqCst), 0);
        count_it(host);
        assert_eq!(host.released.load(Ordering::SeqCst), 0);
    }
    const ROUNDS: usize = 300;
    let slot = Slot::<Option<Fun>>::default();
    let hosts: Vec<Arc<Host>> = (0..2 * ROUNDS).map(|_| Host::new()).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        call(&slot);
                    }
                })
            })
            .collect();
        let setters = hosts.chunks(ROUNDS).map(|hosts| {
            let slot = &slot;
            scope.spawn(move || {
                for host in hosts {
                    let fun: Fun = alive;
                    assert_eq!(slot.set(Some(fun), host.data(), Some(release)), Ok(()));
                }
            })
        });
        let setters: Vec<_> = setters.collect();
        for setter in setters {
            setter.join().expect("joined");
        }
        stop.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.join().expect("joined");
        }
    });
    slot.clear();
    for host in hosts {
        assert_eq!(host.count().1, 1);
    }
}
