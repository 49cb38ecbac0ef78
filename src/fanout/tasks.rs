//! The thread of a shard: one task per socket, one for commands, one for media, one for the clock, all on one
//! single-threaded runtime, so that they share the shard without a lock.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, yield_now};

use super::Command;
use super::shard::{Plan, Shard};
use crate::net::{PatientSocket, ReceiveBatch};

const TICK: Duration = Duration::from_millis(100);
/// Datagrams per system call, and the longest one that WebRTC needs.
const RECEIVE_COUNT: usize = 32;
const DATAGRAM_MAX: usize = 2048;
/// Rounds sent before sockets and commands get their turn.
const ROUNDS_PER_TURN: usize = 16;
/// A panic that comes again at once must not take the whole core.
const AFTER_PANIC: Duration = Duration::from_millis(10);

/// The rest of a frame that comes in one go is slept for, at most so long.
const NAP_MAX: Duration = Duration::from_micros(200);

type Shared = Rc<RefCell<Shard>>;

/// Runs a shard until it is told to stop.
pub(super) fn run(runtime: &Runtime, plan: Plan, commands: mpsc::UnboundedReceiver<Command>) {
    let local = LocalSet::new();
    runtime.block_on(local.run_until(serve(plan, commands)));
}

async fn serve(mut plan: Plan, commands: mpsc::UnboundedReceiver<Command>) {
    let sockets = std::mem::take(&mut plan.sockets);
    let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
    let index = plan.index;
    let shard = Rc::new(RefCell::new(Shard::new(plan, sockets.clone())));
    for (number, socket) in sockets.into_iter().enumerate() {
        tokio::task::spawn_local(receive(shard.clone(), number as u8, socket));
    }
    tokio::task::spawn_local(media(shard.clone()));
    tokio::task::spawn_local(clock(shard.clone()));
    tokio::task::spawn_local(publishers(shard.clone()));
    obey(shard, index, commands).await;
}

async fn obey(shard: Shared, index: usize, mut commands: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        if matches!(command, Command::Stop) {
            return;
        }
        let long = matches!(command, Command::RemoveSome(..));
        {
            let mut shard = shard.borrow_mut();
            shard.guard(|shard| shard.command(command, index, Instant::now()));
        }
        if long {
            // Frames of other streams, and the sockets of the one that stops.
            yield_now().await;
        }
    }
}

async fn receive(shard: Shared, number: u8, socket: Arc<PatientSocket>) {
    let mut batch = ReceiveBatch::new(RECEIVE_COUNT, DATAGRAM_MAX);
    let mut away = false;
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        loop {
            while receive_some(&shard, number, &socket, &mut batch) {
                yield_now().await;
            }
            let now = Instant::now();
            let again = {
                let mut shard = shard.borrow_mut();
                shard.guard(|shard| shard.publishers.were_read(number, away, now))
            };
            let Some(until) = again.flatten() else {
                away = socket.look_back().is_err();
                break;
            };
            if until - now > NAP_MAX || !nap(&shard, until).await {
                away = socket.look_away(until - now).is_ok();
                break;
            }
            away = true;
        }
    }
}

/// Sleeps where there is nothing else to do: the clocks of sockets and runtime cost more than so short a time is worth.
async fn nap(shard: &Shared, until: Instant) -> bool {
    // Whatever else is ready comes first.
    yield_now().await;
    let now = Instant::now();
    let idle = shard.borrow().is_idle(now);
    if idle {
        std::thread::sleep(until.saturating_duration_since(now));
    }
    idle
}

/// True where more may wait.
fn receive_some(
    shard: &Shared,
    number: u8,
    socket: &PatientSocket,
    batch: &mut ReceiveBatch,
) -> bool {
    // Errors but WouldBlock are a datagram's own (an ICMP answer): the socket goes on.
    let count = socket.receive(batch).unwrap_or(0);
    let (now, wall) = (Instant::now(), SystemTime::now());
    let mut shard = shard.borrow_mut();
    for index in 0..count {
        if let Some(datagram) = batch.datagram(index) {
            shard.guard(|shard| shard.received(number, &datagram, now, wall));
        } else {
            shard.counters.datagrams_unknown.inc();
        }
    }
    count == RECEIVE_COUNT
}

async fn media(shard: Shared) {
    let inbox = shard.borrow().inbox.clone();
    loop {
        let next_due = {
            let mut shard = shard.borrow_mut();
            let now = Instant::now();
            shard.guard(|shard| shard.take_batches(now));
            for _ in 0..ROUNDS_PER_TURN {
                let Some(round) = shard.lanes.next(Instant::now()) else {
                    break;
                };
                shard.guard(|shard| shard.send_round(&round, now));
            }
            let after = shard.guard(|shard| shard.after_live(Instant::now()));
            after.unwrap_or_else(|| Some(Instant::now() + AFTER_PANIC))
        };
        match next_due {
            Some(due) if due <= Instant::now() => yield_now().await,
            Some(due) => {
                tokio::select! {
                    () = inbox.filled() => {}
                    () = tokio::time::sleep_until(due.into()) => {}
                }
            }
            None => inbox.filled().await,
        }
    }
}

impl Shard {
    /// Nothing is to be sent now.
    fn is_idle(&self, now: Instant) -> bool {
        let due = self.lanes.next_due().into_iter();
        due.chain(self.joining.next_due()).all(|due| due > now) && self.repairs.is_empty()
    }

    /// What has to wait for live frames: repairs, then viewers that catch up. Gives the time of what comes next.
    fn after_live(&mut self, now: Instant) -> Option<Instant> {
        let live_due = self.lanes.next_due();
        if live_due.is_some_and(|due| due <= now) {
            return live_due;
        }
        self.repair_some(now);
        self.catch_up_some(now, SystemTime::now());
        if !self.repairs.is_empty() {
            return Some(now);
        }
        live_due.into_iter().chain(self.joining.next_due()).min()
    }
}

async fn clock(shard: Shared) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let mut shard = shard.borrow_mut();
        shard.guard(|shard| shard.tick(Instant::now(), SystemTime::now()));
    }
}

/// What publishers and their ingests want done by time, to the millisecond.
async fn publishers(shard: Shared) {
    let changed = shard.borrow().publishers.changed.clone();
    loop {
        let due = shard.borrow_mut().publishers.due();
        match due {
            Some(due) => {
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep_until(due.into()) => {}
                }
            }
            None => changed.notified().await,
        }
        let done = {
            let mut shard = shard.borrow_mut();
            shard.guard(|shard| shard.publishers_due(Instant::now()))
        };
        if done.is_none() {
            tokio::time::sleep(AFTER_PANIC).await;
        }
    }
}
