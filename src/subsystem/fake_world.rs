//! A world without shards, viewers or hooks of a host's: it writes down what processes ask of it.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::processes::Processes;
use super::world::World;
use crate::leg::ports::Ports;
use crate::leg::receive::{Feed, Task};
use crate::rtp::Media;
use crate::stream::Expectation;

type Hook = Arc<dyn Fn(&str) + Send + Sync>;
type Log = Arc<Mutex<Vec<String>>>;
type Timer = Box<dyn FnOnce() + Send>;

/// Shared with the test.
#[derive(Clone)]
pub(super) struct Handles {
    log: Log,
    hook: Arc<Mutex<Option<Hook>>>,
    timers: Arc<Mutex<Vec<Timer>>>,
}

pub(super) struct Fake {
    handles: Handles,
    runtime: Runtime,
}

#[derive(Debug)]
pub(super) struct FakeFeed {
    id: String,
    silent_at: Option<Instant>,
    log: Log,
}

/// Processes in a fake world, and the world's other side.
pub(super) fn fake(ports: Ports, linger: Duration) -> (Arc<Processes<Fake>>, Handles) {
    let handles = Handles {
        log: Log::default(),
        hook: Arc::default(),
        timers: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = Fake {
        handles: handles.clone(),
        runtime,
    };
    let processes = Processes::new(world, ports, Arc::default(), linger);
    (Arc::new(processes), handles)
}

impl Handles {
    /// What was asked since the last time.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// Waits for a line that another thread writes.
    pub(super) fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.log.lock().unwrap().iter().any(|it| it == line) {
            assert!(Instant::now() < deadline, "{line} was never logged");
            std::thread::yield_now();
        }
    }

    /// The host's teardown hook.
    pub(super) fn on_teardown(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    /// Runs every timer that was set, as if its time had come.
    pub(super) fn run_timers(&self) {
        let timers = std::mem::take(&mut *self.timers.lock().unwrap());
        for timer in timers {
            timer();
        }
    }

    fn push(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }
}

impl World for Fake {
    type Stream = String;
    type Feed = FakeFeed;

    fn open(&self, id: &str, _: Expectation) -> (String, FakeFeed) {
        self.handles.push(format!("open {id}"));
        let feed = FakeFeed {
            id: id.to_owned(),
            silent_at: None,
            log: self.handles.log.clone(),
        };
        (id.to_owned(), feed)
    }

    fn receive(&self, _: &String, task: Task<FakeFeed>) {
        self.runtime.spawn(task.run());
    }

    fn farewell(&self, stream: &String, reason: &'static str, _: Duration) {
        self.handles.push(format!("farewell {stream} {reason}"));
    }

    fn forget(&self, stream: &String) {
        self.handles.push(format!("forget {stream}"));
    }

    fn teardown(&self, id: &str) {
        self.handles.push(format!("teardown {id}"));
        let hook = self.handles.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(id);
        }
    }

    fn later(&self, _: Duration, work: Box<dyn FnOnce() + Send>) {
        self.handles.timers.lock().unwrap().push(work);
    }
}

impl Feed for FakeFeed {
    fn datagram(&mut self, _: Option<Media>, _: &[u8], now: Instant) {
        self.silent_at = Some(now + Duration::from_secs(3600));
        self.log.lock().unwrap().push(format!("live {}", self.id));
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.silent_at
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.silent_at.take_if(|at| *at <= now).is_some() {
            self.log.lock().unwrap().push(format!("silent {}", self.id));
        }
    }

    fn expect(&mut self, expectation: Expectation) {
        let video = expectation.video.map(|it| it.codec.name());
        let line = format!("expect {} {}", self.id, video.unwrap_or("no video"));
        self.log.lock().unwrap().push(line);
    }
}

/// Whether both ports of a pair can be bound now.
pub(super) fn rebindable(port: u16) -> bool {
    [port, port + 1]
        .into_iter()
        .all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}
