//! The publishers of a shard: their datagrams go to their ingest, on the thread that will send the frames on; their
//! feedback goes out by time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::shard::Shard;
use super::{NewPublisher, ViewerEvent, ViewerNumbers};
use crate::net::Route;
use crate::peer::{Notice, Outbox, Publisher};
use crate::runtime::guarded;
use crate::stream::IngestPoint;

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
    /// Whoever sent last has sent part of a frame.
    frame_open: bool,
}

struct Entry {
    publisher: Publisher,
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
}

impl Publishers {
    pub(super) fn has(&self, key: u64) -> bool {
        self.by_key.contains_key(&key)
    }

    /// When anything is due.
    pub(super) fn due(&mut self) -> Option<Instant> {
        let entries = self.by_key.values();
        self.armed = entries.filter_map(Entry::due).min();
        self.armed
    }

    /// Whether more packets of a frame are to come at once. Told once.
    pub(super) fn take_frame_open(&mut self) -> bool {
        std::mem::take(&mut self.frame_open)
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
        let points = std::iter::once(&self.point).chain(&self.layers);
        let due = points.filter_map(|point| point.next_timeout());
        due.chain(self.publisher.next_timeout()).min()
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
            frame_open,
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
        }
        outbox.published.clear();
        for (point, layer) in entry.layers.iter().zip(&mut outbox.layers) {
            for packet in layer.packets() {
                point.datagram(packet, now);
            }
            layer.clear();
        }
        *frame_open = entry.point.is_open();
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
