//! Who may stay connected: a bounded number, and where every place is taken, whoever has asked for nothing longest gives way.
//!
//! A connection waits until a whole request has come, and again once that is answered. In between it keeps its place, so
//! that a crowd of slow or silent connections costs only each other theirs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The places of a listener.
#[derive(Debug)]
pub(super) struct Seats {
    places: usize,
    inner: Mutex<Inner>,
    /// Somebody left, or waits and could give way.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By when they began to wait; each is told where it has to give way.
    waiting: BTreeMap<u64, Arc<Notify>>,
    busy: usize,
}

impl Inner {
    fn wait(&mut self, told: &Arc<Notify>) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, Arc::clone(told));
        self.next
    }
}

impl Seats {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places,
            inner: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Resolves once [`Seats::take`] has a place to give. One task waits here.
    pub(super) async fn free(&self) {
        loop {
            {
                let inner = self.lock();
                if inner.busy < self.places {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }

    /// A place; where all are taken that of the connection that has waited longest. True where one had to give way.
    pub(super) fn take(self: &Arc<Self>) -> (Seat, bool) {
        let mut inner = self.lock();
        let full = inner.waiting.len() + inner.busy >= self.places;
        let oldest = if full {
            inner.waiting.pop_first()
        } else {
            None
        };
        let displaced = oldest.map(|(_, told)| told.notify_one()).is_some();
        let told = Arc::new(Notify::new());
        let turn = inner.wait(&told);
        drop(inner);
        let seat = Seat {
            seats: Arc::clone(self),
            told,
            turn: Mutex::new(turn),
        };
        (seat, displaced)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    told: Arc<Notify>,
    /// Its key among those that wait, or waited last.
    turn: Mutex<u64>,
}

impl Seat {
    /// Resolves when the connection has to give way; it has no request that is being answered then.
    pub(super) async fn displaced(&self) {
        self.told.notified().await;
    }

    /// A request has come whole: the place is kept until the guard is dropped. None where it is given away already.
    pub(super) fn answering(&self) -> Option<Answering<'_>> {
        let mut inner = self.seats.lock();
        inner.waiting.remove(&*self.turn())?;
        inner.busy += 1;
        Some(Answering { seat: self })
    }

    fn turn(&self) -> MutexGuard<'_, u64> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().waiting.remove(&*self.turn());
    }
}

/// A request is being answered.
#[derive(Debug)]
pub(super) struct Answering<'a> {
    seat: &'a Seat,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let seats = &self.seat.seats;
        let mut inner = seats.lock();
        inner.busy -= 1;
        *self.seat.turn() = inner.wait(&self.seat.told);
        drop(inner);
        seats.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn the_one_that_waited_longest_gives_way_and_who_is_answered_does_not() {
        let seats = Seats::new(2);
        let (first, displaced) = seats.take();
        assert!(!displaced);
        let (second, _) = seats.take();
        let answering = first.answering().expect("its place");
        let (third, displaced) = seats.take();
        assert!(displaced && is_ready(second.displaced()));
        assert!(second.answering().is_none(), "too late");
        drop(second);
        drop(answering);
        // Answered a moment ago, it waits since then: the third has waited longer.
        let (_fourth, displaced) = seats.take();
        assert!(displaced && is_ready(third.displaced()) && !is_ready(first.displaced()));
    }

    #[test]
    fn where_all_are_being_answered_the_next_one_waits() {
        let seats = Seats::new(1);
        let (only, _) = seats.take();
        let answering = only.answering().expect("its place");
        let mut free = pin!(seats.free());
        let mut context = Context::from_waker(Waker::noop());
        assert!(free.as_mut().poll(&mut context).is_pending());
        drop(answering);
        assert!(free.as_mut().poll(&mut context).is_ready());
        drop(only);
        let (_next, displaced) = seats.take();
        assert!(!displaced, "who left needs not give way");
    }
}
