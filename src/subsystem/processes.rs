//! The egress processes by id: starting, changing, stopping, lingering. What surrounds them is a [`World`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::config::ProcessSettings;
use crate::error::Error;
use crate::leg::Leg;
use crate::leg::args::{self, Wire};
use crate::leg::ports::Ports;
use crate::leg::receive::{Feed, Receiver};
use crate::stats::Counters;

use super::claims::{Claim, Claims, Refused};
use super::deadline::Deadline;
use super::errors::{check_id, check_media, refusal, unknown};
use super::world::World;

/// How long one stop waits for goodbyes to leave and sockets to close; both take microseconds unless a shard hangs.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Every process of a subsystem.
pub(super) struct Processes<W: World> {
    world: W,
    ports: Ports,
    counters: Arc<Counters>,
    linger: Duration,
    claims: Arc<Claims>,
    closing: AtomicBool,
    lingers: AtomicU64,
    entries: Mutex<HashMap<String, Entry<W>>>,
}

enum Entry<W: World> {
    Live(Process<W>),
    Lingering(Linger<W>),
}

struct Process<W: World> {
    settings: ProcessSettings,
    wire: Wire,
    legs: Vec<Leg>,
    stream: W::Stream,
    receiver: Receiver<W::Feed>,
}

/// A stopped process whose viewers wait for its next start.
struct Linger<W: World> {
    number: u64,
    settings: ProcessSettings,
    wire: Wire,
    stream: W::Stream,
    feed: W::Feed,
}

impl<W: World> Processes<W> {
    pub(super) fn new(world: W, ports: Ports, counters: Arc<Counters>, linger: Duration) -> Self {
        Self {
            world,
            ports,
            counters,
            linger,
            claims: Arc::default(),
            closing: AtomicBool::new(false),
            lingers: AtomicU64::new(0),
            entries: Mutex::default(),
        }
    }

    /// The legs of `id`, which has them from now on.
    pub(super) fn start(&self, id: &str, settings: &ProcessSettings) -> Result<Vec<Leg>, Error> {
        check_id(id)?;
        check_media(settings)?;
        let _claim = self.claim(id, None)?;
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::State("the subsystem is closed".to_owned()));
        }
        if let Some(legs) = self.keep_or_change(id, settings)? {
            return Ok(legs);
        }
        let process = self.open_or_resume(id, settings)?;
        let legs = process.legs.clone();
        self.insert(id, Entry::Live(process));
        Ok(legs)
    }

    /// Viewers leave, the hook runs, the sockets close; or the viewers linger and only the sockets close.
    pub(super) fn stop(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let _claim = match self.claims.claim(id, None) {
            // The teardown hook of this very id: it is being stopped already.
            Err(Refused::OwnId) => return Err(unknown(id)),
            other => other.map_err(|refused| refusal(id, refused))?,
        };
        let mut deadline = Deadline::after(STOP_TIMEOUT);
        let linger = !self.linger.is_zero() && !self.closing.load(Ordering::SeqCst);
        match self.take_live(id) {
            None => Err(unknown(id)),
            Some(process) if linger => {
                self.begin_linger(id, process, &deadline);
                Ok(())
            }
            Some(process) => self.end(id, process, &mut deadline),
        }
    }

    /// From now on nothing starts; everything there is ends.
    pub(super) fn close(&self, deadline: &mut Deadline) -> Result<(), Error> {
        self.closing.store(true, Ordering::SeqCst);
        // A start that claimed its id before the line above is in `claims`; one that claims it later sees `closing`.
        let mut ids = self.claims.ids();
        // The inputs' end with them.
        ids.retain(|id| !id.starts_with('\0'));
        ids.extend(self.lock().keys().cloned());
        ids.sort();
        ids.dedup();
        // One that is late doesn't keep the others: the first failure is told at the end.
        let mut outcome = Ok(());
        for id in &ids {
            outcome = outcome.and(self.close_one(id, deadline));
        }
        outcome
    }

    /// Processes with legs.
    pub(super) fn count(&self) -> usize {
        let entries = self.lock();
        entries
            .values()
            .filter(|entry| matches!(entry, Entry::Live(_)))
            .count()
    }

    /// The legs of `id`; none where it is not live.
    pub(super) fn legs_of(&self, id: &str) -> Vec<Leg> {
        match self.lock().get(id) {
            Some(Entry::Live(process)) => process.legs.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether the calling thread is inside a teardown hook, of a process or of an input.
    pub(super) fn in_hook(&self) -> bool {
        self.claims.held_here()
    }

    /// Who works on which id; inputs have theirs there, too.
    pub(super) fn claims(&self) -> Arc<Claims> {
        self.claims.clone()
    }

    fn close_one(&self, id: &str, deadline: &mut Deadline) -> Result<(), Error> {
        let _claim = self.claim(id, Some(&*deadline))?;
        match self.remove(id) {
            Some(Entry::Live(process)) => return self.end(id, process, deadline),
            Some(Entry::Lingering(linger)) => self.leave(id, &linger.stream, deadline),
            None => {}
        }
        Ok(())
    }

    /// A live process: the same legs again, or with another configuration the same ports and other arguments.
    fn keep_or_change(
        &self,
        id: &str,
        settings: &ProcessSettings,
    ) -> Result<Option<Vec<Leg>>, Error> {
        let (before, wire, stream) = match self.lock().get(id) {
            Some(Entry::Live(process)) if process.settings == *settings => {
                return Ok(Some(process.legs.clone()));
            }
            Some(Entry::Live(process)) => (
                process.settings.clone(),
                Wire::draw(process.wire.port, Some(&process.wire), SystemTime::now()),
                process.stream.clone(),
            ),
            _ => return Ok(None),
        };
        let legs = args::legs(settings, &wire)?;
        self.part_with_viewers(&stream, &before, settings);
        if let Some(Entry::Live(process)) = self.lock().get_mut(id) {
            process
                .receiver
                .expect(wire.expectation(settings), settings.single_port);
            process.settings = settings.clone();
            process.wire = wire;
            process.legs.clone_from(&legs);
        }
        Ok(Some(legs))
    }

    /// New ports, and a new stream, or within STOP_LINGER the old one with its viewers.
    fn open_or_resume(&self, id: &str, settings: &ProcessSettings) -> Result<Process<W>, Error> {
        let before = match self.lock().get(id) {
            Some(Entry::Lingering(linger)) => Some(linger.wire),
            _ => None,
        };
        let pair = self.ports.allocate()?;
        let wire = Wire::draw(pair.port, before.as_ref(), SystemTime::now());
        let legs = args::legs(settings, &wire).inspect_err(|_| self.ports.release(wire.port))?;
        let (stream, feed) = match self.remove(id) {
            Some(Entry::Lingering(mut linger)) => {
                self.part_with_viewers(&linger.stream, &linger.settings, settings);
                linger.feed.expect(wire.expectation(settings));
                (linger.stream, linger.feed)
            }
            _ => self.world.open(id, wire.expectation(settings)),
        };
        let counters = self.counters.clone();
        let (receiver, task) = Receiver::new(pair, feed, settings.single_port, counters);
        self.world.receive(&stream, task);
        Ok(Process {
            settings: settings.clone(),
            wire,
            legs,
            stream,
            receiver,
        })
    }

    /// Viewers whose answer can't carry the new configuration leave; they come back with another offer.
    fn part_with_viewers(
        &self,
        stream: &W::Stream,
        before: &ProcessSettings,
        after: &ProcessSettings,
    ) {
        let video = !after.video || (before.video && before.wire_codec() == after.wire_codec());
        let audio = !after.audio || before.audio;
        if !(video && audio) {
            // A start doesn't wait for the network.
            self.world.farewell(stream, "codec", Duration::ZERO);
        }
    }

    fn begin_linger(self: &Arc<Self>, id: &str, process: Process<W>, deadline: &Deadline) {
        let feed = process.receiver.stop(deadline.at());
        self.ports.release(process.wire.port);
        let Some(mut feed) = feed else {
            // The shard is gone, and the viewers with it.
            self.leave(id, &process.stream, &mut deadline.clone());
            return;
        };
        run_out(&mut feed);
        let number = self.lingers.fetch_add(1, Ordering::Relaxed);
        let linger = Linger {
            number,
            settings: process.settings,
            wire: process.wire,
            stream: process.stream,
            feed,
        };
        self.insert(id, Entry::Lingering(linger));
        let (this, id) = (Arc::downgrade(self), id.to_owned());
        let expire = move || {
            if let Some(this) = this.upgrade() {
                this.end_linger(&id, number);
            }
        };
        self.world.later(self.linger, Box::new(expire));
    }

    fn end_linger(&self, id: &str, number: u64) {
        let Ok(_claim) = self.claims.claim(id, None) else {
            return;
        };
        let ours = matches!(
            self.lock().get(id),
            Some(Entry::Lingering(linger)) if linger.number == number
        );
        if !ours {
            return;
        }
        if let Some(Entry::Lingering(linger)) = self.remove(id) {
            let mut deadline = Deadline::after(STOP_TIMEOUT);
            self.leave(id, &linger.stream, &mut deadline);
        }
    }

    fn end(&self, id: &str, process: Process<W>, deadline: &mut Deadline) -> Result<(), Error> {
        self.leave(id, &process.stream, deadline);
        let feed = process.receiver.stop(deadline.at());
        // Bound or not, the next one who binds finds out.
        self.ports.release(process.wire.port);
        if feed.is_none() && deadline.left().is_zero() {
            let text = format!("the sockets of process {id:?} did not close in time");
            return Err(Error::Timeout(text));
        }
        Ok(())
    }

    /// Viewers are told to leave, then the host is told; no lock is held.
    fn leave(&self, id: &str, stream: &W::Stream, deadline: &mut Deadline) {
        self.world.forget(stream);
        self.world.farewell(stream, "stopped", deadline.left());
        deadline.exempt(|| self.world.teardown(id));
    }

    fn claim<'a>(&'a self, id: &'a str, deadline: Option<&Deadline>) -> Result<Claim<'a>, Error> {
        self.claims
            .claim(id, deadline.map(Deadline::at))
            .map_err(|refused| refusal(id, refused))
    }

    fn take_live(&self, id: &str) -> Option<Process<W>> {
        let mut entries = self.lock();
        match entries.remove(id) {
            Some(Entry::Live(process)) => Some(process),
            Some(lingering) => {
                entries.insert(id.to_owned(), lingering);
                None
            }
            None => None,
        }
    }

    fn insert(&self, id: &str, entry: Entry<W>) {
        self.lock().insert(id.to_owned(), entry);
    }

    fn remove(&self, id: &str) -> Option<Entry<W>> {
        self.lock().remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry<W>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody drives the feed while its viewers linger: its time runs ahead until it wants nothing more, so that the last
/// frame is out and the stream no longer counts as live.
fn run_out<F: Feed>(feed: &mut F) {
    const STEPS_MAX: usize = 64;
    for _ in 0..STEPS_MAX {
        let Some(due) = feed.next_timeout() else {
            break;
        };
        feed.handle_timeout(due);
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
