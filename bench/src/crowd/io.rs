//! The threads that drive viewers: each polls the sockets of its share and ticks them.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::peer::Phase;
use super::viewer::Viewer;
use super::{Error, Totals};

const TICK: Duration = Duration::from_millis(20);
const WAKE: Token = Token(usize::MAX);

/// Joined and lost so far, across threads.
#[derive(Debug, Default)]
pub struct Progress {
    /// Reached Connected.
    pub connected: AtomicUsize,
    /// Were closed or failed, before or after.
    pub gone: AtomicUsize,
}

enum Command {
    Add(Box<Viewer>),
    Count(Sender<Totals>),
    Latencies(Sender<Vec<u64>>),
    Leave(Sender<()>),
}

/// One thread.
pub struct Driver {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts it.
    pub fn start(progress: Arc<Progress>) -> Result<Self, Error> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (commands, inbox) = channel();
        let crypto =
            rtc_crypto::default_provider().map_err(|error| Error::Setup(error.to_string()))?;
        let mut share = Share {
            poll,
            inbox,
            viewers: Vec::new(),
            progress,
        };
        let thread = thread::spawn(move || share.run(crypto.crypto()));
        Ok(Self {
            commands,
            waker,
            thread: Some(thread),
        })
    }

    /// Hands over a viewer.
    pub fn add(&self, viewer: Viewer) {
        self.order(Command::Add(Box::new(viewer)));
    }

    /// What its viewers received.
    #[must_use]
    pub fn count(&self) -> Totals {
        let (answer, wait) = channel();
        self.order(Command::Count(answer));
        wait.recv().unwrap_or_default()
    }

    /// Latencies of marked packets since the last call.
    #[must_use]
    pub fn latencies_ns(&self) -> Vec<u64> {
        let (answer, wait) = channel();
        self.order(Command::Latencies(answer));
        wait.recv().unwrap_or_default()
    }

    /// All its viewers leave.
    pub fn leave(&self) {
        let (answer, wait) = channel();
        self.order(Command::Leave(answer));
        let _ = wait.recv();
    }

    fn order(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let (gone, _) = channel();
        drop(std::mem::replace(&mut self.commands, gone));
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Share {
    poll: Poll,
    inbox: Receiver<Command>,
    viewers: Vec<Viewer>,
    progress: Arc<Progress>,
}

impl Share {
    fn run(&mut self, crypto: &dyn rtc_crypto::RTCCrypto) {
        let mut events = Events::with_capacity(1024);
        let mut next_tick = Instant::now();
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            if let Err(error) = self.poll.poll(&mut events, Some(wait)) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return;
            }
            let now = Instant::now();
            for event in &events {
                if let Some(viewer) = self.viewers.get_mut(event.token().0) {
                    let before = viewer.peer.phase;
                    viewer.readable(crypto, now);
                    self.progress.note(before, viewer.peer.phase);
                }
            }
            if now >= next_tick {
                next_tick = now + TICK;
                self.viewers.iter_mut().for_each(|viewer| viewer.tick(now));
            }
            if !self.obey(now) {
                return;
            }
        }
    }

    /// False once nobody can give orders any more.
    fn obey(&mut self, now: Instant) -> bool {
        use std::sync::mpsc::TryRecvError;
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Add(mut viewer)) => {
                    viewer.tick(now);
                    let token = Token(self.viewers.len());
                    let registry = self.poll.registry();
                    let socket = viewer.peer.socket.as_raw_fd();
                    if registry
                        .register(&mut SourceFd(&socket), token, Interest::READABLE)
                        .is_ok()
                    {
                        self.viewers.push(*viewer);
                    }
                }
                Ok(Command::Count(answer)) => {
                    let _ = answer.send(self.totals());
                }
                Ok(Command::Latencies(answer)) => {
                    let viewers = self.viewers.iter_mut();
                    let taken = viewers.flat_map(|viewer| std::mem::take(&mut viewer.latencies_ns));
                    let _ = answer.send(taken.collect());
                }
                Ok(Command::Leave(answer)) => {
                    self.viewers
                        .iter_mut()
                        .for_each(|viewer| viewer.peer.close());
                    self.viewers.clear();
                    let _ = answer.send(());
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for viewer in &self.viewers {
            totals.received += viewer.received();
            totals.read += viewer.read;
            totals.authentic += viewer.authentic;
            totals.dtls_clients += u64::from(viewer.peer.is_dtls_client());
            totals.gcm += u64::from(viewer.peer.profile == 7);
            totals.connected += u64::from(viewer.peer.phase == Phase::Connected);
        }
        totals
    }
}

impl Progress {
    fn note(&self, before: Phase, after: Phase) {
        match (before, after) {
            (Phase::Joining, Phase::Connected) => self.connected.fetch_add(1, Ordering::Relaxed),
            (Phase::Joining | Phase::Connected, Phase::Gone) => {
                self.gone.fetch_add(1, Ordering::Relaxed)
            }
            _ => 0,
        };
    }
}

/// Locks, whatever happened to the last holder.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
