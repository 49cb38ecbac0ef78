//! What happened, as plain values: pushed by anyone, drained by the one callback thread. Each is a line of the log, too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What kind of thing happened; the numbers are those of `CORERTC_EVENT_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum EventKind {
    ViewerJoined = 1,
    ViewerLeft = 2,
    PublisherJoined = 3,
    PublisherLeft = 4,
    StreamActive = 5,
    StreamInactive = 6,
    KeyframeWanted = 7,
    Warning = 8,
}

/// One event: its kind, the stream it belongs to, and a JSON object with the details.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The stream's id as the host named it.
    pub stream_id: String,
    /// A JSON object; `code` for warnings, `session` and so on for viewers.
    pub detail: serde_json::Value,
}

/// Events held at most before further ones are counted as lost.
const CAPACITY: usize = 4096;

/// The bounded queue between the library and the callback thread. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Events {
    inner: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<VecDeque<Event>>,
    ready: Condvar,
    closed: AtomicBool,
    lost: AtomicU64,
}

impl Events {
    /// Queues an event; a full queue counts it as lost instead.
    pub fn push(&self, kind: EventKind, stream_id: &str, detail: serde_json::Value) {
        self.push_all(kind, stream_id, [detail].into_iter());
    }

    /// Queues an event for each of `details`, one after the other.
    pub fn push_all(
        &self,
        kind: EventKind,
        stream_id: &str,
        details: impl Iterator<Item = serde_json::Value>,
    ) {
        let mut waiting = self
            .inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for detail in details {
            log(kind, stream_id, &detail);
            if waiting.len() >= CAPACITY {
                self.inner.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            waiting.push_back(Event {
                kind,
                stream_id: stream_id.to_owned(),
                detail,
            });
        }
        drop(waiting);
        self.inner.ready.notify_one();
    }

    /// A WARNING event: `detail` is an object, `code` is added to it.
    pub fn warn(&self, stream_id: &str, code: &str, mut detail: serde_json::Value) {
        if let Some(object) = detail.as_object_mut() {
            object.insert("code".to_owned(), code.into());
        }
        self.push(EventKind::Warning, stream_id, detail);
    }

    /// The next event, waiting at most `timeout` for one.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        let waiting = self
            .inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) = self
            .inner
            .ready
            .wait_timeout_while(waiting, timeout, |queue| {
                queue.is_empty() && !self.is_closed()
            })
            .unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }

    /// Nothing is waited for from now on: [`Events::next`] hands out what is queued, then None at once.
    pub fn close(&self) {
        // Under the lock, so that a waiter sees it or is woken by it.
        let waiting = self
            .inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.inner.closed.store(true, Ordering::Relaxed);
        drop(waiting);
        self.inner.ready.notify_all();
    }

    /// Whether [`Events::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Relaxed)
    }

    /// Events dropped because nobody drained the queue in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inner.lost.load(Ordering::Relaxed)
    }
}

/// Viewers come and go by the thousand, and are no more than a detail; nothing here is a secret, session ids are public.
fn log(kind: EventKind, stream: &str, detail: &serde_json::Value) {
    match kind {
        EventKind::ViewerJoined => tracing::debug!(stream, %detail, "viewer joined"),
        EventKind::ViewerLeft => tracing::debug!(stream, %detail, "viewer left"),
        EventKind::PublisherJoined => tracing::info!(stream, %detail, "publisher joined"),
        EventKind::PublisherLeft => tracing::info!(stream, %detail, "publisher left"),
        EventKind::StreamActive => tracing::info!(stream, %detail, "packets come"),
        EventKind::StreamInactive => tracing::info!(stream, %detail, "no packets any more"),
        EventKind::KeyframeWanted => tracing::trace!(stream, %detail, "key frame wanted"),
        EventKind::Warning => tracing::warn!(stream, %detail, "warning"),
    }
}
