//! What surrounds the processes: a trait, and the real one of streams, sessions, shards and hooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::events::Events;
use crate::fanout::Fanout;
use crate::leg::receive::{Feed, Task};
use crate::session::Sessions;
use crate::stats::Counters;
use crate::stream::{Expectation, Ingest, Stream, StreamKey, Streams, history};

use super::Hooks;

/// The streams, viewers and hooks around the processes; a fake in tests.
pub(super) trait World: Send + Sync + Sized + 'static {
    /// What viewers see of a process.
    type Stream: Clone + Send + 'static;
    /// What its receiver feeds.
    type Feed: Feed;

    /// Registers a new stream under `id`.
    fn open(&self, id: &str, expectation: Expectation) -> (Self::Stream, Self::Feed);
    /// Runs a receiver.
    fn receive(&self, stream: &Self::Stream, task: Task<Self::Feed>);
    /// Tells the viewers to leave and waits at most `timeout` until that was sent.
    fn farewell(&self, stream: &Self::Stream, reason: &'static str, timeout: Duration);
    /// No viewer finds the stream any more, no packet will come.
    fn forget(&self, stream: &Self::Stream);
    /// The host's teardown hook.
    fn teardown(&self, id: &str);
    /// Runs `work` on a thread that may block, after a while.
    fn later(&self, after: Duration, work: Box<dyn FnOnce() + Send>);
}

/// The real one.
pub(super) struct Live {
    pub(super) runtime: Handle,
    pub(super) fanout: Fanout,
    pub(super) streams: Streams,
    pub(super) sessions: Sessions,
    pub(super) hooks: Hooks,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Events,
    pub(super) keys: Arc<AtomicU64>,
    /// What a stream may keep for joining viewers.
    pub(super) kept: history::Limits,
}

impl World for Live {
    type Stream = Arc<Stream>;
    type Feed = Ingest;

    fn open(&self, id: &str, expectation: Expectation) -> (Arc<Stream>, Ingest) {
        let key = StreamKey(self.keys.fetch_add(1, Ordering::Relaxed));
        let (counters, events) = (self.counters.clone(), self.events.clone());
        let (stream, ingest) = Stream::new(id, key, expectation, self.kept, counters, events);
        self.streams.insert(stream.clone());
        (stream, ingest)
    }

    fn receive(&self, stream: &Arc<Stream>, task: Task<Ingest>) {
        self.fanout
            .spawn_on(stream.key().0, move || Box::pin(task.run()));
    }

    fn farewell(&self, stream: &Arc<Stream>, reason: &'static str, timeout: Duration) {
        self.sessions.close_stream(stream, reason, timeout);
    }

    /// Ended before the goodbyes: a POST that found the stream a moment ago must not get a session after them.
    fn forget(&self, stream: &Arc<Stream>) {
        self.streams.remove(stream.id());
        stream.end();
    }

    fn teardown(&self, id: &str) {
        (self.hooks.teardown)(id);
    }

    fn later(&self, after: Duration, work: Box<dyn FnOnce() + Send>) {
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            // It calls the host and waits for shards: not on a thread of the control path.
            tokio::task::spawn_blocking(work);
        });
    }
}
