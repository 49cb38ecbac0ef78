//! Shards: worker threads that own the UDP sockets, hold the viewers and send frame batches viewer-major.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::stats::Counters;

/// Why the shards could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FanoutError(pub String);

/// All shards of a subsystem. Cheap to clone.
#[derive(Clone)]
pub struct Fanout {}

impl Fanout {
    /// Binds every listen address (an error names the one that is busy) and starts `workers` threads.
    pub fn start(
        listen: &[SocketAddr],
        workers: usize,
        gso: bool,
        counters: Arc<Counters>,
    ) -> Result<Self, FanoutError> {
        let _ = (listen, workers, gso, counters);
        todo!("built by the founder")
    }

    /// The bound addresses.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        todo!()
    }

    /// Runs a future on the shard that `spread` falls on (leg receivers: one wake-up from socket to viewers).
    pub fn spawn_on<F>(&self, spread: u64, make: F)
    where
        F: FnOnce() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + Send + 'static,
    {
        let _ = (spread, make);
        todo!()
    }

    /// Stops every shard and closes its sockets; returns when the threads ended.
    pub fn shutdown(&self) {
        todo!()
    }
}
