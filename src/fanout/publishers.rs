//! The publishers of a shard: their datagrams go to their ingest, on the thread that will send the frames on; their
//! feedback goes out by time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::pace::Pace;
use super::shard::Shard;
use super::{NewPublisher, ViewerEvent, ViewerNumbers};
use crate::net::Route;
use crate::peer::{Notice, Outbox, Publisher};
use crate::runtime::guarded;
use crate::stream::IngestPoint;

/// After the rest of a frame was waited for, what a reader of the sockets has done by then is not done by the clock.
const AFTER_WAITING: Duration = Duration::from_micros(500);
/// Between two updates of a publisher's numbers.
const NUMBERS_EVERY: Duration = Duration::from_secs(1);

/// The publishers of one shard.
#[derive(Default)]
pub(super) struct Publishers {
    by_key: HashMap<u64, Entry>,
    outbox: Outbox,
    /// Something is due earlier than the task knows.
    pub(super) changed: Arc<Notify>,
    armed: Option<Instant>,
    /// Which have moved to which shard.
    moved: HashMap<u64, usize>,
    /// Whoever has sent since its socket was read, or has part of a frame waiting for the rest.
    reading: Vec<u64>,
}

/// A publisher and what the shard keeps of it.
pub(super) struct Entry {
    pub(super) publisher: Publisher,
    point: Arc<IngestPoint>,
    /// Those of its layers that are watched, and the version of the point's they are of.
    layers: Vec<Arc<IngestPoint>>,
    layers_version: u64,
    events: mpsc::Sender<ViewerEvent>,
    numbers: Arc<Mutex<ViewerNumbers>>,
    next_numbers: Instant,
    told_silent: bool,
    /// When anything of it was due lately.
    due: Option<Instant>,
    /// The shard to whose socket its last datagram came.
    arrives_at: Option<usize>,
    pace: Pace,
    /// Packets of it since its socket was read.
    came: u32,
    reading: bool,
}

impl Publishers {
    pub(super) fn has(&self, key: u64) -> bool {
        self.by_key.contains_key(&key)
    }

    /// A datagram of it came to the socket of `shard`.
    pub(super) fn arrived_at(&mut self, key: u64, shard: usize) {
        if let Some(entry) = self.by_key.get_mut(&key) {
            entry.arrives_at = Some(shard);
        }
    }

    /// The shard to whose socket its datagrams come.
    pub(super) fn arrives_at(&self, key: u64) -> Option<usize> {
        self.by_key.get(&key)?.arrives_at
    }

    /// It moves to that shard.
    pub(super) fn leave_for(&mut self, key: u64, home: usize) -> Option<Entry> {
        let mut entry = self.by_key.remove(&key)?;
        self.moved.insert(key, home);
        self.reading.retain(|it| *it != key);
        entry.reading = false;
        Some(entry)
    }

    /// Where it has moved to.
    pub(super) fn moved_to(&self, key: u64) -> Option<usize> {
        self.moved.get(&key).copied()
    }

    /// Nothing more comes for one that has moved.
    pub(super) fn forget_move(&mut self, key: u64) {
        self.moved.remove(&key);
    }

    /// It lives here from now on.
    pub(super) fn settle(&mut self, key: u64, entry: Entry) {
        self.by_key.insert(key, entry);
        self.changed.notify_one();
    }

    /// When anything is due.
    pub(super) fn due(&mut self) -> Option<Instant> {
        let entries = self.by_key.values();
        self.armed = entries.filter_map(Entry::due).min();
        self.armed
    }

    /// Whatever was in this socket has been read; `away`: nothing was for some time before. Parts of frames leave whose rest is
    /// waited for no longer; when to read again where that time is known.
    pub(super) fn were_read(&mut self, socket: u8, away: bool, now: Instant) -> Option<Instant> {
        let mut again: Option<Instant> = None;
        let Self {
            by_key, reading, ..
        } = self;
        reading.retain(|key| {
            let Some(entry) = by_key.get_mut(key) else {
                return false;
            };
            let path = entry.publisher.media_path();
            if path.is_none_or(|path| path.socket != socket) {
                return path.is_some();
            }
            let until = entry.were_read(away, now);
            again = again.into_iter().chain(until).min();
            entry.reading = until.is_some();
            entry.reading
        });
        again
    }
}

impl Publishers {
    /// After a panic: what was half done is forgotten, and the publisher at whose turn it came, if any, ends.
    pub(super) fn mend(&mut self, serving: Option<u64>) {
        self.outbox = Outbox::default();
        if let Some(entry) = serving.and_then(|key| self.by_key.get(&key)) {
            let end = ViewerEvent::Refused("internal error".to_owned());
            let _ = entry.events.try_send(end);
        }
    }
}

impl Entry {
    /// When it, its ingest or a layer wants something done.
    fn due(&self) -> Option<Instant> {
        let due = self.points().filter_map(IngestPoint::next_timeout);
        let due = due.chain(self.publisher.next_timeout()).min()?;
        // While the rest of a frame is waited for nothing is so urgent that it wakes anybody.
        let waits = self.pace.waits_until();
        Some(waits.map_or(due, |until| due.max(until + AFTER_WAITING)))
    }

    fn points(&self) -> impl Iterator<Item = &IngestPoint> {
        std::iter::once(&self.point)
            .chain(&self.layers)
            .map(|it| &**it)
    }

    /// Until when the rest of its frame is waited for.
    fn were_read(&mut self, away: bool, now: Instant) -> Option<Instant> {
        let open = self.points().any(IngestPoint::is_unfinished);
        let came = std::mem::take(&mut self.came);
        if self.pace.read(came, open, away, now) {
            self.points().for_each(|point| point.flush(now));
        }
        self.pace.waits_until()
    }

    /// Watches the layers that are open now.
    fn follow_layers(&mut self, now: Instant) {
        let version = self.point.layers_version();
        if version == self.layers_version {
            return;
        }
        self.layers_version = version;
        let (rids, points): (Vec<_>, _) = self
            .point
            .open_layers()
            .into_iter()
            .map(|layer| (layer.rid, layer.point))
            .unzip();
        self.publisher.watch(&rids, now);
        self.layers = points;
    }

    fn publish_numbers(&self) {
        let (packets, bytes) = self.publisher.received();
        let numbers = ViewerNumbers {
            packets,
            bytes,
            loss_percent: self.publisher.loss_percent(),
            remote: self
                .publisher
                .media_path()
                .map(crate::net::Path::remote_canonical),
            layers: self.publisher.layers(),
            ..ViewerNumbers::default()
        };
        *self.numbers.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }
}

impl Shard {
    pub(super) fn add_publisher(&mut self, key: u64, new: NewPublisher, now: Instant) {
        let entry = Entry {
            publisher: Publisher::new(new.setup, self.counters.clone(), now),
            point: new.point,
            layers: Vec::new(),
            layers_version: u64::MAX,
            events: new.events,
            numbers: new.numbers,
            next_numbers: now,
            told_silent: false,
            due: None,
            arrives_at: None,
            pace: Pace::default(),
            came: 0,
            reading: false,
        };
        self.publishers.by_key.insert(key, entry);
    }

    /// Says goodbye to a publisher, then its DTLS' last words, and forgets it. False where it is none.
    pub(super) fn remove_publisher(&mut self, key: u64, last_words: &mut Vec<Vec<u8>>) -> bool {
        if !self.publishers.has(key) {
            return false;
        }
        self.with_publisher(key, |publisher, out| {
            publisher.goodbye(out);
            for datagram in last_words.drain(..) {
                publisher.transmit(None, datagram, out);
            }
        });
        if let Some(entry) = self.publishers.by_key.remove(&key) {
            entry.publish_numbers();
            for ufrag in entry.publisher.ufrags() {
                self.demux.remove_ufrag(ufrag);
            }
            let route = self.route(key);
            for path in entry.publisher.paths() {
                self.demux.remove_address(path.socket, path.remote, route);
            }
        }
        true
    }

    /// Calls one publisher, then does what it wants done. A panic ends this publisher only.
    pub(super) fn with_publisher(
        &mut self,
        key: u64,
        call: impl FnOnce(&mut Publisher, &mut Outbox),
    ) {
        let route = self.route(key);
        let Publishers {
            by_key,
            outbox,
            reading,
            moved: _,
            armed,
            changed,
        } = &mut self.publishers;
        let Some(entry) = by_key.get_mut(&key) else {
            return;
        };
        entry.follow_layers(Instant::now());
        let events = &entry.events;
        self.serving = Some(key);
        if guarded(|| call(&mut entry.publisher, outbox)).is_none() {
            self.counters.panics.inc();
            let _ = events.try_send(ViewerEvent::Refused("internal error".to_owned()));
        }
        let now = Instant::now();
        for packet in outbox.published.packets() {
            entry.point.datagram(packet, now);
            entry.came += 1;
        }
        outbox.published.clear();
        for (point, layer) in entry.layers.iter().zip(&mut outbox.layers) {
            for packet in layer.packets() {
                point.datagram(packet, now);
                entry.came += 1;
            }
            layer.clear();
        }
        if entry.came > 0 && !std::mem::replace(&mut entry.reading, true) {
            reading.push(key);
        }
        for path in outbox.learnt.drain(..) {
            self.demux.add_address(path.socket, path.remote, route);
        }
        for path in outbox.proven.drain(..) {
            self.demux.prove_address(path.socket, path.remote, route);
        }
        for ufrag in outbox.retired.drain(..) {
            self.demux.remove_ufrag(&ufrag);
        }
        for path in outbox.forgotten.drain(..) {
            self.demux.remove_address(path.socket, path.remote, route);
        }
        for (path, bytes) in outbox.send.drain(..) {
            self.outlet.send_now(&self.sockets, &path, &bytes);
        }
        for notice in outbox.notices.drain(..) {
            let event = match notice {
                Notice::Checked(path) => ViewerEvent::Checked(path),
                Notice::Dtls(path, datagram) => ViewerEvent::Dtls(path, datagram),
                Notice::Left => ViewerEvent::Left,
                // What viewers ask for.
                _ => continue,
            };
            let dtls = matches!(event, ViewerEvent::Dtls(..));
            if entry.events.try_send(event).is_err() && dtls {
                self.counters.dtls_dropped.inc();
            }
        }
        let due = entry.due();
        let sooner = due.is_some_and(|due| armed.is_none_or(|armed| due < armed));
        // What the clock was set for is done (a frame came whole): a wake-up for nothing costs more than setting it again.
        let done = armed.is_some() && entry.due == *armed && due != *armed;
        entry.due = due;
        if sooner || done {
            *armed = due;
            changed.notify_one();
        }
    }

    /// The keys could not be used, or it panicked: the session ends.
    pub(super) fn refuse_publisher(&self, key: u64, why: &str) {
        if let Some(entry) = self.publishers.by_key.get(&key) {
            let refused = ViewerEvent::Refused(why.to_owned());
            let _ = entry.events.try_send(refused);
        }
    }

    /// Feedback and frames that are due.
    pub(super) fn publishers_due(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .publishers
            .by_key
            .iter()
            .filter(|(_, it)| it.due().is_some_and(|at| at <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.with_publisher(key, |publisher, out| publisher.handle_timeout(now, out));
            if let Some(entry) = self.publishers.by_key.get(&key) {
                entry.point.poll(now);
                entry.layers.iter().for_each(|layer| layer.poll(now));
            }
        }
    }

    /// Numbers, and who has fallen silent.
    pub(super) fn tick_publishers(&mut self, now: Instant) {
        for entry in self.publishers.by_key.values_mut() {
            entry.publisher.follow(now);
            if entry.next_numbers <= now {
                entry.point.close_unused_layers(now);
                entry.next_numbers = now + NUMBERS_EVERY;
                entry.publish_numbers();
            }
            let silent_for = now.saturating_duration_since(entry.publisher.heard());
            if silent_for >= self.idle_timeout && !entry.told_silent {
                let silent = ViewerEvent::Silent(silent_for);
                entry.told_silent = entry.events.try_send(silent).is_ok();
            }
        }
    }

    fn route(&self, key: u64) -> Route {
        Route {
            shard: self.index,
            key,
        }
    }
}
