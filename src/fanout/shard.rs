//! What one shard holds: its viewers, which stream each plays, and what is done for them on a command or a tick.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use slab::Slab;
use tokio::sync::mpsc;

use super::inbox::Inbox;
use super::joining::Joining;
use super::lanes::Lanes;
use super::outlet::Outlet;
use super::publishers::Publishers;
use super::repairs::Repairs;
use super::start::Start;
use super::thinning::Thinning;
use super::{NewViewer, Peer, ViewerEvent, ViewerNumbers};
use crate::net::{Demux, PatientSocket, Route};
use crate::peer::ice::credentials::Credentials;
use crate::peer::{Notice, Outbox, UDP_IP_LEN, Viewer};
use crate::runtime::guarded;
use crate::stats::Counters;
use crate::stream::{FrameBatch, Sink, Stream, StreamKey};

/// Between two sender reports of a viewer (RFC 3550 §6.2 allows more for so few bytes of control traffic).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Viewers whose memory is freed in one go; it takes about a microsecond each.
const FREED_PER_TICK: usize = 256;

/// What a shard starts with.
pub(super) struct Plan {
    pub(super) index: usize,
    pub(super) sockets: Vec<PatientSocket>,
    pub(super) peers: Vec<Peer>,
    pub(super) demux: Arc<Demux>,
    pub(super) gso: bool,
    pub(super) idle_timeout: Duration,
    pub(super) counters: Arc<Counters>,
}

/// A viewer and what the shard keeps of it.
pub(super) struct Entry {
    pub(super) viewer: Viewer,
    pub(super) key: u64,
    pub(super) stream: StreamKey,
    pub(super) start: Start,
    pub(super) thinning: Thinning,
    /// Packets that wait to be sent to it again.
    pub(super) repairs: usize,
    events: mpsc::Sender<ViewerEvent>,
    numbers: Arc<std::sync::Mutex<ViewerNumbers>>,
    /// Per medium: it gets the rest of the frame being sent.
    pub(super) in_frame: [bool; 2],
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) frames_dropped: u64,
    next_report: Instant,
    told_silent: bool,
    /// Panics while it was served.
    pub(super) panics: u8,
    /// Its session is yet to be told that it ends.
    pub(super) broken: bool,
    /// It has left and is about to be freed.
    pub(super) gone: bool,
}

impl Entry {
    /// Bytes sent in all as a link sees them, with UDP's and IP's headers.
    pub(super) fn wire_bytes(&self) -> u64 {
        self.bytes + self.packets * UDP_IP_LEN
    }
}

/// A stream that somebody here plays.
pub(super) struct Playing {
    pub(super) stream: Arc<Stream>,
    pub(super) viewers: Vec<usize>,
}

/// One shard. Used by one thread.
pub(super) struct Shard {
    pub(super) index: usize,
    pub(super) sockets: Vec<Arc<PatientSocket>>,
    pub(super) peers: Vec<Peer>,
    pub(super) demux: Arc<Demux>,
    gso: bool,
    pub(super) idle_timeout: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) publishers: Publishers,
    pub(super) viewers: Slab<Entry>,
    pub(super) by_key: HashMap<u64, usize>,
    /// Have left; freed a few at a time. A session's task would wake up when its viewer is: later is early enough.
    pub(super) gone: Vec<usize>,
    pub(super) streams: HashMap<StreamKey, Playing>,
    pub(super) inbox: Arc<Inbox>,
    taken: VecDeque<(StreamKey, Arc<FrameBatch>)>,
    pub(super) lanes: Lanes,
    pub(super) joining: Joining,
    pub(super) repairs: Repairs,
    pub(super) outlet: Outlet,
    pub(super) outbox: Outbox,
    /// Whose turn it is: who is to blame for a panic.
    pub(super) serving: Option<u64>,
}

impl Shard {
    pub(super) fn new(plan: Plan, sockets: Vec<Arc<PatientSocket>>) -> Self {
        Self {
            index: plan.index,
            sockets,
            peers: plan.peers,
            demux: plan.demux,
            gso: plan.gso,
            idle_timeout: plan.idle_timeout,
            inbox: Arc::new(Inbox::new(plan.counters.clone())),
            counters: plan.counters,
            publishers: Publishers::default(),
            viewers: Slab::new(),
            by_key: HashMap::new(),
            gone: Vec::new(),
            streams: HashMap::new(),
            taken: VecDeque::new(),
            lanes: Lanes::default(),
            joining: Joining::default(),
            repairs: Repairs::default(),
            outlet: Outlet::default(),
            outbox: Outbox::default(),
            serving: None,
        }
    }

    pub(super) fn add(&mut self, key: u64, new: NewViewer, now: Instant) {
        let stream_key = new.stream.key();
        let index = self.viewers.insert(Entry {
            viewer: Viewer::new(new.setup, self.gso, self.counters.clone(), now),
            key,
            stream: stream_key,
            start: Start::default(),
            thinning: Thinning::default(),
            repairs: 0,
            events: new.events,
            numbers: new.numbers,
            in_frame: [false; 2],
            packets: 0,
            bytes: 0,
            frames_dropped: 0,
            next_report: now,
            told_silent: false,
            panics: 0,
            broken: false,
            gone: false,
        });
        self.by_key.insert(key, index);
        let inbox: Arc<dyn Sink> = self.inbox.clone();
        let playing = self.streams.entry(stream_key).or_insert_with(|| {
            new.stream.attach(inbox);
            Playing {
                stream: new.stream,
                viewers: Vec::new(),
            }
        });
        playing.viewers.push(index);
    }

    /// Calls one viewer, then does what it wants done. A panic ends this viewer only.
    pub(super) fn with_viewer(&mut self, key: u64, call: impl FnOnce(&mut Viewer, &mut Outbox)) {
        let Some(index) = self.by_key.get(&key).copied() else {
            return;
        };
        let entry = &mut self.viewers[index];
        let outbox = &mut self.outbox;
        self.serving = Some(key);
        if guarded(|| call(&mut entry.viewer, outbox)).is_none() {
            entry.broken = true;
            self.counters.panics.inc();
        }
        self.work_off(index);
    }

    /// A peer's checks may be signed with these credentials, too.
    pub(super) fn restart_ice(&mut self, key: u64, credentials: Credentials) {
        let publishes = self.publishers.has(key);
        if publishes || self.by_key.contains_key(&key) {
            let shard = self.index;
            self.demux
                .add_ufrag(&credentials.ufrag, Route { shard, key });
            if publishes {
                self.with_publisher(key, |publisher, out| {
                    publisher.restart_ice(credentials, out)
                });
            } else {
                self.with_viewer(key, |viewer, out| viewer.restart_ice(credentials, out));
            }
        }
    }

    /// A viewer is connected: it needs a key frame.
    pub(super) fn begins(&self, key: u64, now: Instant) {
        let entry = self.by_key.get(&key).map(|index| &self.viewers[*index]);
        if let Some(playing) = entry.and_then(|entry| self.streams.get(&entry.stream)) {
            playing.stream.viewer_begins(now);
        }
    }

    /// The keys could not be used: the session ends.
    pub(super) fn refuse(&self, key: u64, why: String) {
        if let Some(index) = self.by_key.get(&key) {
            let _ = self.viewers[*index]
                .events
                .try_send(ViewerEvent::Refused(why));
        }
    }

    /// Does what the viewer at `index` left in the outbox.
    fn work_off(&mut self, index: usize) {
        let entry = &mut self.viewers[index];
        let route = Route {
            shard: self.index,
            key: entry.key,
        };
        for path in self.outbox.learnt.drain(..) {
            self.demux.add_address(path.socket, path.remote, route);
        }
        for path in self.outbox.proven.drain(..) {
            self.demux.prove_address(path.socket, path.remote, route);
        }
        for path in self.outbox.forgotten.drain(..) {
            self.demux.remove_address(path.socket, path.remote, route);
        }
        for ufrag in self.outbox.retired.drain(..) {
            self.demux.remove_ufrag(&ufrag);
        }
        for (path, bytes) in self.outbox.send.drain(..) {
            self.outlet.send_now(&self.sockets, &path, &bytes);
        }
        for notice in std::mem::take(&mut self.outbox.notices) {
            let event = match notice {
                Notice::Checked(path) => ViewerEvent::Checked(path),
                Notice::Dtls(path, datagram) => ViewerEvent::Dtls(path, datagram),
                Notice::Left => ViewerEvent::Left,
                Notice::KeyframeWanted => {
                    self.keyframe_wanted(index, Instant::now());
                    continue;
                }
                Notice::Reported => {
                    self.judge_link(index, Instant::now());
                    continue;
                }
                Notice::Missing(media, missing) => {
                    self.missing(index, media, &missing);
                    continue;
                }
            };
            let dtls = matches!(event, ViewerEvent::Dtls(..));
            if self.viewers[index].events.try_send(event).is_err() && dtls {
                self.counters.dtls_dropped.inc();
            }
        }
    }

    /// Sorts what came into the lanes.
    pub(super) fn take_batches(&mut self, now: Instant) {
        let mut taken = std::mem::take(&mut self.taken);
        self.inbox.take(&mut taken);
        for (stream, batch) in taken.drain(..) {
            let Some(playing) = self.streams.get(&stream) else {
                continue;
            };
            let dropped = self.lanes.push(stream, batch, now) * playing.viewers.len();
            self.counters.frames_dropped.add(dropped as u64);
        }
        self.taken = taken;
    }

    /// Reports that are due, numbers, and who has fallen silent.
    pub(super) fn tick(&mut self, now: Instant, wall: SystemTime) {
        self.tick_publishers(now);
        let kept = self.gone.len().saturating_sub(FREED_PER_TICK);
        for index in self.gone.drain(kept..) {
            self.viewers.remove(index);
        }
        let due: Vec<usize> = self
            .viewers
            .iter()
            .filter(|(_, entry)| entry.next_report <= now && !entry.gone)
            .map(|(index, _)| index)
            .collect();
        for index in due {
            self.report(index, now, wall);
            self.publish(index);
        }
        for (_, entry) in &mut self.viewers {
            if entry.gone {
                continue;
            }
            entry.viewer.follow(now);
            if entry.broken {
                let end = ViewerEvent::Refused("internal error".to_owned());
                entry.broken = entry.events.try_send(end).is_err();
            }
            let silent_for = now.saturating_duration_since(entry.viewer.heard());
            if silent_for >= self.idle_timeout && !entry.told_silent {
                entry.told_silent = entry
                    .events
                    .try_send(ViewerEvent::Silent(silent_for))
                    .is_ok();
            }
        }
    }

    /// Sends a viewer's sender reports now.
    pub(super) fn report(&mut self, index: usize, now: Instant, wall: SystemTime) {
        let entry = &mut self.viewers[index];
        self.serving = Some(entry.key);
        entry.next_report = match entry.thinning.watches_closely(now) {
            true => now + REPORT_INTERVAL / 2,
            false => now + REPORT_INTERVAL,
        };
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        entry.viewer.reports(
            wall,
            |media| playing.stream.timestamp_at(media, wall),
            &mut self.outbox,
        );
        self.work_off(index);
    }

    /// Brings its session's numbers up to date.
    pub(super) fn publish(&self, index: usize) {
        let entry = &self.viewers[index];
        let feedback = entry.viewer.feedback();
        let numbers = ViewerNumbers {
            packets: entry.packets,
            bytes: entry.bytes,
            frames_dropped: entry.frames_dropped,
            loss_percent: feedback.loss_percent(),
            rtt: feedback.rtt(),
            remb_bps: feedback.remb_bps(),
            transport: entry.viewer.transport(),
            remote: entry
                .viewer
                .media_path()
                .map(crate::net::Path::remote_canonical),
            layers: Vec::new(),
        };
        *entry.numbers.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }
}
