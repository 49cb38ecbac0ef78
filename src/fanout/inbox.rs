//! Where a stream's batches wait for a shard: bounded, filled from any thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::stats::Counters;
use crate::stream::{FrameBatch, Sink, StreamKey};

/// Batches held at most: a shard that stalls this long loses frames instead of growing.
const CAPACITY: usize = 4096;

/// One shard's inbox.
pub(super) struct Inbox {
    waiting: Mutex<VecDeque<(StreamKey, Arc<FrameBatch>)>>,
    ready: Notify,
    counters: Arc<Counters>,
}

impl Inbox {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            waiting: Mutex::default(),
            ready: Notify::new(),
            counters,
        }
    }

    /// Waits until there may be something.
    pub(super) async fn filled(&self) {
        self.ready.notified().await;
    }

    /// There is something else to do than batches.
    pub(super) fn wake(&self) {
        self.ready.notify_one();
    }

    /// Swaps what waits for the empty `other`.
    pub(super) fn take(&self, other: &mut VecDeque<(StreamKey, Arc<FrameBatch>)>) {
        std::mem::swap(
            &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner),
            other,
        );
    }
}

impl Sink for Inbox {
    fn deliver(&self, stream: StreamKey, batch: Arc<FrameBatch>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= CAPACITY {
            drop(waiting);
            self.counters.frames_dropped.inc();
            return;
        }
        waiting.push_back((stream, batch));
        drop(waiting);
        self.ready.notify_one();
    }
}
