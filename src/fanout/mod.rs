//! Shards: worker threads that own the UDP sockets, hold the viewers and send frame batches viewer-major.
//!
//! A batch comes from `stream` through [`inbox::Inbox`], waits in its lane ([`lanes`]), and leaves in rounds
//! ([`send`]): for each viewer seal, then one system call for about 16 viewers. A datagram comes in through
//! [`inbound`], which finds its viewer, on this shard or another. Sessions steer by [`Fanout`].

mod catchup;
mod commands;
mod homing;
#[cfg(test)]
mod homing_tests;
mod inbound;
mod inbox;
mod joining;
mod judge;
mod lanes;
mod leaving;
mod looks;
mod losses;
mod mend;
#[cfg(test)]
mod mend_tests;
mod narrow;
#[cfg(test)]
mod narrow_player;
#[cfg(test)]
mod narrow_sim;
#[cfg(test)]
mod narrow_tests;
mod outlet;
mod pace;
mod publishers;
mod queueing;
mod repairs;
mod send;
mod shard;
mod start;
mod tasks;
mod thinning;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::net::{Demux, Path, PatientSocket, Route, bind_group};
use crate::peer::ice::credentials::Credentials;
use crate::peer::srtp::Keys;
use crate::peer::{LayerNumbers, PublisherSetup, TransportNumbers, ViewerSetup};
use crate::runtime;
use crate::stats::Counters;
use crate::stream::{IngestPoint, Stream};

/// Why the shards could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FanoutError(pub String);

/// News of a viewer or publisher for its session.
#[derive(Debug)]
pub enum ViewerEvent {
    /// A connectivity check passed: a DTLS client may begin there.
    Checked(Path),
    /// A DTLS datagram.
    Dtls(Path, Vec<u8>),
    /// It said BYE.
    Left,
    /// Nothing of it authenticated for so long.
    Silent(Duration),
    /// The keys could not be used.
    Refused(String),
}

/// A viewer's numbers, or a publisher's (packets and bytes received), brought up to date about once a second and at its end.
#[derive(Debug, Clone, Default)]
pub struct ViewerNumbers {
    /// RTP packets sent.
    pub packets: u64,
    /// Bytes of SRTP sent.
    pub bytes: u64,
    /// Frames dropped for it.
    pub frames_dropped: u64,
    /// Fraction lost of its last receiver report, percent.
    pub loss_percent: Option<f64>,
    /// Round-trip time of its last receiver report.
    pub rtt: Option<Duration>,
    /// The bandwidth it estimates.
    pub remb_bps: Option<u64>,
    /// What its transport-wide feedback said, where that was agreed.
    pub transport: Option<TransportNumbers>,
    /// Where media goes.
    pub remote: Option<SocketAddr>,
    /// A publisher's simulcast layers.
    pub layers: Vec<LayerNumbers>,
}

/// A viewer to add: what its peer is made of, whose stream it plays, who wants to hear of it.
pub struct NewViewer {
    /// The peer.
    pub setup: ViewerSetup,
    /// What it plays.
    pub stream: Arc<Stream>,
    /// The session's queue. A full one loses DTLS datagrams, which DTLS repairs.
    pub events: mpsc::Sender<ViewerEvent>,
    /// Where its numbers go.
    pub numbers: Arc<Mutex<ViewerNumbers>>,
}

/// A publisher to add: what its peer is made of, whose packets it brings, who wants to hear of it.
pub struct NewPublisher {
    /// The peer.
    pub setup: PublisherSetup,
    /// Where its packets go.
    pub point: Arc<IngestPoint>,
    /// The session's queue.
    pub events: mpsc::Sender<ViewerEvent>,
    /// Where its numbers go.
    pub numbers: Arc<Mutex<ViewerNumbers>>,
}

type Task = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Command {
    Add(u64, Box<NewViewer>),
    AddPublisher(u64, Box<NewPublisher>),
    /// Of a layer by its RID, else of what the ingest gets.
    Keyframe(u64, Option<Arc<str>>),
    Transmit(u64, Option<Path>, Vec<u8>),
    Connect(u64, Box<Keys>, Path),
    RestartIce(u64, Credentials, oneshot::Sender<()>),
    Remove(u64, Vec<Vec<u8>>, oneshot::Sender<()>),
    RemoveSome(Vec<leaving::Leaving>, leaving::Told),
    /// Key, path, bytes, whether these raise what the address may get, and whose socket they came to.
    Datagram(u64, Path, Vec<u8>, bool, usize),
    /// A publisher that has moved, and where from.
    Adopt(u64, Box<publishers::Entry>, usize),
    Spawn(Task),
    /// A test does this within the shard.
    #[cfg(test)]
    Test(Box<dyn FnOnce(&mut shard::Shard) + Send>),
    Stop,
}

impl Command {
    /// Of the viewer or publisher it is for, where that is one which may have moved.
    fn key(&self) -> Option<u64> {
        match self {
            Self::Keyframe(key, _)
            | Self::Transmit(key, ..)
            | Self::Connect(key, ..)
            | Self::RestartIce(key, ..)
            | Self::Remove(key, ..)
            | Self::Datagram(key, ..) => Some(*key),
            _ => None,
        }
    }
}

/// Datagrams handed from shard to shard that may wait: no flood fills the memory.
const FORWARDED_MAX: usize = 1024;

/// The way to a shard.
#[derive(Clone)]
struct Peer {
    commands: mpsc::UnboundedSender<Command>,
    forwarded: Arc<AtomicUsize>,
}

/// All shards of a subsystem. Cheap to clone.
#[derive(Clone)]
pub struct Fanout {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Vec<Peer>,
    demux: Arc<Demux>,
    addresses: Vec<SocketAddr>,
    next_key: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Fanout {
    /// Binds every listen address (an error names the one that is busy) and starts `workers` threads. A viewer of
    /// whom nothing is heard for `idle_timeout` is reported [`ViewerEvent::Silent`].
    pub fn start(
        listen: &[SocketAddr],
        workers: usize,
        gso: bool,
        idle_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Result<Self, FanoutError> {
        let mut sockets: Vec<Vec<std::net::UdpSocket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for address in listen {
            let group = bind_group(*address, workers)
                .map_err(|error| FanoutError(format!("UDP_LISTEN {address}: {error}")))?;
            addresses.extend(group.first().and_then(|socket| socket.local_addr().ok()));
            for (of_shard, socket) in sockets.iter_mut().zip(group) {
                of_shard.push(socket);
            }
        }
        let demux = Arc::new(Demux::default());
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| Peer::channel()).unzip();
        let mut threads = Vec::new();
        for (index, (sockets, commands)) in sockets.into_iter().zip(receivers).enumerate() {
            // Made here: what fails is told to the host, and its descriptors are there on return.
            let failed =
                |error: std::io::Error| FanoutError(format!("can't start shard {index}: {error}"));
            let runtime = runtime::shard_runtime().map_err(failed)?;
            let inside = runtime.enter();
            let sockets = sockets.into_iter().map(PatientSocket::new);
            let sockets = sockets.collect::<std::io::Result<_>>().map_err(failed)?;
            drop(inside);
            let plan = shard::Plan {
                index,
                sockets,
                peers: senders.clone(),
                demux: demux.clone(),
                gso,
                idle_timeout,
                counters: counters.clone(),
            };
            let body = move || tasks::run(&runtime, plan, commands);
            let thread = runtime::spawn_thread(&format!("shard-{index}"), body).map_err(failed)?;
            threads.push(thread);
        }
        let inner = Inner {
            shards: senders,
            demux,
            addresses,
            next_key: AtomicU64::new(1),
            threads: Mutex::new(threads),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The bound addresses, in the order of the listen addresses.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.inner.addresses.clone()
    }

    /// Adds a viewer; from now on its checks are answered.
    pub fn add(&self, viewer: NewViewer) -> ViewerHandle {
        let key = self.inner.next_key.fetch_add(1, Ordering::Relaxed);
        let ufrag = viewer.setup.credentials.ufrag.clone();
        self.enter(key, key, &ufrag, Command::Add(key, Box::new(viewer)))
    }

    /// Adds a publisher. It lives on the shard that its ingest's stream falls on: the publisher, FFmpeg's leg and the
    /// next publisher share a thread.
    pub fn add_publisher(&self, publisher: NewPublisher) -> ViewerHandle {
        let key = self.inner.next_key.fetch_add(1, Ordering::Relaxed);
        let spread = publisher.point.stream().key().0;
        let ufrag = publisher.setup.credentials.ufrag.clone();
        let add = Command::AddPublisher(key, Box::new(publisher));
        self.enter(key, spread, &ufrag, add)
    }

    fn enter(&self, key: u64, spread: u64, ufrag: &str, add: Command) -> ViewerHandle {
        let route = Route {
            shard: (spread % self.inner.shards.len() as u64) as usize,
            key,
        };
        let handle = ViewerHandle {
            fanout: self.clone(),
            route,
        };
        handle.tell(add);
        // Found only once the shard knows it: commands keep their order, and forwarded datagrams are commands too.
        self.inner.demux.add_ufrag(ufrag, route);
        handle
    }

    /// Runs a future on the shard that `spread` falls on (leg receivers: one wake-up from socket to viewers).
    pub fn spawn_on<F>(&self, spread: u64, make: F)
    where
        F: FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send + 'static,
    {
        let shard = (spread % self.inner.shards.len() as u64) as usize;
        let _ = self.inner.shards[shard]
            .commands
            .send(Command::Spawn(Box::new(make)));
    }

    /// Sessions and addresses the demultiplexer knows: (addresses, ufrags).
    #[must_use]
    pub fn demux_len(&self) -> (usize, usize) {
        self.inner.demux.len()
    }

    /// Stops every shard and closes its sockets; returns when the threads ended.
    pub fn shutdown(&self) {
        for shard in &self.inner.shards {
            let _ = shard.commands.send(Command::Stop);
        }
        let threads = std::mem::take(
            &mut *self
                .inner
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            // A shard that panicked has told the log already.
            let _ = thread.join();
        }
    }
}

/// A session's hold on its viewer or publisher.
#[derive(Clone)]
pub struct ViewerHandle {
    fanout: Fanout,
    route: Route,
}

impl ViewerHandle {
    /// A DTLS datagram to send, to `path` or as [`crate::peer::Viewer::transmit`] says.
    pub fn transmit(&self, path: Option<Path>, datagram: Vec<u8>) {
        self.tell(Command::Transmit(self.route.key, path, datagram));
    }

    /// The hand-shake ended with a datagram from `path`: media flows.
    pub fn connect(&self, keys: Keys, path: Path) {
        self.tell(Command::Connect(self.route.key, Box::new(keys), path));
    }

    /// An ICE restart: checks under these credentials are the viewer's as well (RFC 8445 §9). Resolves when they are
    /// answered.
    pub fn restart_ice(&self, credentials: Credentials) -> impl Future<Output = ()> + use<> {
        let (done, restarted) = oneshot::channel();
        self.tell(Command::RestartIce(self.route.key, credentials, done));
        async {
            // A shard that has ended holds no viewer any more.
            let _ = restarted.await;
        }
    }

    /// A key frame is wanted of the publisher: of its simulcast layer `rid`, else of what its ingest gets.
    pub fn want_keyframe(&self, rid: Option<&str>) {
        self.tell(Command::Keyframe(self.route.key, rid.map(Arc::from)));
    }

    /// Says goodbye (RTCP BYE), then `last_words` (DTLS), and forgets the viewer. Resolves when that was done.
    pub fn remove(&self, last_words: Vec<Vec<u8>>) -> impl Future<Output = ()> + use<> {
        let (done, removed) = oneshot::channel();
        self.tell(Command::Remove(self.route.key, last_words, done));
        async {
            // A shard that has ended holds no viewer any more.
            let _ = removed.await;
        }
    }

    fn tell(&self, command: Command) {
        let _ = self.fanout.inner.shards[self.route.shard]
            .commands
            .send(command);
    }
}

impl Peer {
    fn channel() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        (
            Self {
                commands,
                forwarded: Arc::default(),
            },
            receiver,
        )
    }

    /// Hands a datagram to this shard; false where too many wait already.
    fn forward(&self, command: Command) -> bool {
        if self.forwarded.fetch_add(1, Ordering::Relaxed) >= FORWARDED_MAX {
            self.taken();
            return false;
        }
        self.commands.send(command).is_ok()
    }

    /// One forwarded datagram was taken.
    fn taken(&self) {
        self.forwarded.fetch_sub(1, Ordering::Relaxed);
    }
}
