//! Form 2: a loopback RTSP server that FFmpeg reads inputs from over TCP (RFC 2326). One for all inputs of a subsystem.
//!
//! Any user of this machine can connect, so that the path of an input is a secret of 128 bits.

mod connection;
mod interleaved;
mod message;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use crate::stats::Counters;
use crate::stream::IngestPoint;

use super::input::Promise;
use super::send::InputNumbers;

use connection::Connection;

/// Connections at once: FFmpegs have one each.
const CONNECTIONS_MAX: usize = 512;
/// How long a stop waits until connections were closed.
const STOP_WAITS: Duration = Duration::from_millis(500);

/// The server. Dropping it closes the listener.
pub struct RtspServer {
    port: u16,
    inputs: Inputs,
    accepting: AbortHandle,
}

/// A future, made on the thread that is to run it.
pub type Task = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;
/// Runs a future on the thread that an input's packets come from.
pub type Home = Arc<dyn Fn(Task) + Send + Sync>;

/// Inputs by their secret.
#[derive(Clone, Default)]
struct Inputs {
    by_secret: Arc<RwLock<HashMap<String, Arc<Entry>>>>,
}

/// One input as connections see it.
struct Entry {
    secret: String,
    promise: Promise,
    point: Arc<IngestPoint>,
    numbers: Arc<InputNumbers>,
    counters: Arc<Counters>,
    home: Home,
    told: watch::Sender<Told>,
    open: Mutex<usize>,
    closed: Condvar,
}

/// What the host wants of an input's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Told {
    interrupts: u64,
    stopped: bool,
}

/// The handle of one input. Dropping it closes its connections, too.
pub struct RtspInput {
    entry: Arc<Entry>,
    inputs: Inputs,
}

impl RtspServer {
    /// Listens on a free port of 127.0.0.1 and serves on `runtime`.
    pub fn start(runtime: &Handle) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // std's and tokio's sockets are close-on-exec.
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let inputs = Inputs::default();
        let of_task = inputs.clone();
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let task = runtime.spawn(accept(listener, of_task));
        Ok(Self {
            port,
            inputs,
            accepting: task.abort_handle(),
        })
    }

    /// The listener's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the point is read at `/<secret>/…`, by connections that play at `home`.
    #[must_use]
    pub fn serve(
        &self,
        secret: &str,
        promise: Promise,
        point: Arc<IngestPoint>,
        numbers: Arc<InputNumbers>,
        counters: Arc<Counters>,
        home: Home,
    ) -> RtspInput {
        let entry = Arc::new(Entry {
            secret: secret.to_owned(),
            promise,
            point,
            numbers,
            counters,
            home,
            told: watch::Sender::new(Told::default()),
            open: Mutex::new(0),
            closed: Condvar::new(),
        });
        self.inputs.write().insert(secret.to_owned(), entry.clone());
        RtspInput {
            entry,
            inputs: self.inputs.clone(),
        }
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl RtspInput {
    /// Ends what FFmpeg reads now.
    pub fn interrupt(&self) {
        self.entry.told.send_modify(|told| told.interrupts += 1);
    }

    /// Ends what FFmpeg reads, waits until that was sent, at most until `deadline`.
    pub fn stop(self, deadline: Instant) {
        self.forget();
        let left = deadline.saturating_duration_since(Instant::now());
        let open = self.entry.lock();
        let _ = self
            .entry
            .closed
            .wait_timeout_while(open, left.min(STOP_WAITS), |open| *open > 0);
    }

    fn forget(&self) {
        let mut inputs = self.inputs.write();
        // A successor with the same secret stays.
        if inputs
            .get(&self.entry.secret)
            .is_some_and(|it| Arc::ptr_eq(it, &self.entry))
        {
            inputs.remove(&self.entry.secret);
        }
        drop(inputs);
        self.entry.told.send_modify(|told| told.stopped = true);
    }
}

impl Drop for RtspInput {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Inputs {
    /// The input whose secret stands first in `path`.
    fn at(&self, path: &str) -> Option<Arc<Entry>> {
        // A hash map's comparison tells nothing of a random secret by its time: nobody can choose near misses of a hash.
        self.by_secret
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(secret_of(path))
            .cloned()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Arc<Entry>>> {
        self.by_secret
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first segment of a path.
fn secret_of(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or("");
    path.split('/').next().unwrap_or("")
}

impl Entry {
    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) {
        *self.lock() += 1;
    }

    fn was_closed(&self) {
        *self.lock() -= 1;
        self.closed.notify_all();
    }
}

async fn accept(listener: TcpListener, inputs: Inputs) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, for instance.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            continue;
        };
        let connection = Connection::new(inputs.clone());
        tokio::spawn(async move {
            connection.run(stream, permit).await;
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "rtsp_tests.rs"]
mod tests;
