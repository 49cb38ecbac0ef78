//! Threads: named `corertc-*`, signal-masked; the control runtime and its shutdown with a deadline.

mod guard;
mod mask;

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

pub use guard::guarded;

/// Starts a thread of ours: named `corertc-<name>`, every asynchronous signal blocked but SIGPROF and SIGURG.
pub fn spawn_thread<F>(name: &str, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    // The mask is inherited, so it is set in the parent around the spawn: the child never runs unmasked.
    let _masked = mask::Masked::enter();
    std::thread::Builder::new()
        .name(format!("corertc-{name}"))
        .spawn(body)
}

/// The runtime of the control path: HTTP, signalling, sessions, timers.
pub struct Control {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Control {
    /// Starts `threads` worker threads named `corertc-ctl`; blocking work gets at most 64 more.
    pub fn start(threads: usize) -> io::Result<Self> {
        let _masked = mask::Masked::enter();
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(64)
            .thread_name("corertc-ctl")
            .on_thread_start(mask::block_for_thread)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self {
            runtime: Some(runtime),
            handle,
        })
    }

    /// Spawns onto it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends it; tasks are dropped, threads waited for at most `timeout`.
    pub fn shutdown(mut self, timeout: Duration) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(timeout);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The runtime of one shard, driven by the shard's own thread.
pub fn shard_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
