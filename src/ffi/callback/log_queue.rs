//! Lines on their way to the host's log: pushed by anyone without waiting, handed out by the one log thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, TryLockError};
use std::time::Duration;

/// `CORERTC_LOG_ERROR`.
pub(super) const ERROR: i32 = 1;

/// Lines held at most before further ones are counted as lost.
const CAPACITY: usize = 4096;

/// One line.
pub(super) struct Line {
    /// `CORERTC_LOG_…`.
    pub(super) level: i32,
    /// The module it comes from.
    pub(super) component: String,
    pub(super) message: String,
    pub(super) fields: serde_json::Map<String, serde_json::Value>,
}

static MAX_LEVEL: AtomicI32 = AtomicI32::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    lines: VecDeque::new(),
    delivering: false,
});
static CHANGED: Condvar = Condvar::new();

struct Queue {
    lines: VecDeque<Line>,
    /// The last line taken may still be on its way.
    delivering: bool,
}

/// Lines above this level are not wanted; 0: none is.
pub(super) fn max_level() -> i32 {
    MAX_LEVEL.load(Ordering::Relaxed)
}

pub(super) fn set_max_level(level: i32) {
    MAX_LEVEL.store(level, Ordering::Relaxed);
}

/// Lines dropped because the host took none in time.
pub(in crate::ffi) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Queues a wanted line; never waits long, never panics.
pub(super) fn push(line: Line) {
    if line.level > max_level() {
        return;
    }
    let mut queue = match QUEUE.try_lock() {
        Ok(queue) => queue,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Held for a push or a pop only; the panic hook may have come from inside one on this very thread.
        Err(TryLockError::WouldBlock) if std::thread::panicking() => {
            LOST.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(TryLockError::WouldBlock) => QUEUE.lock().unwrap_or_else(PoisonError::into_inner),
    };
    if queue.lines.len() >= CAPACITY {
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    }
    queue.lines.push_back(line);
    drop(queue);
    CHANGED.notify_all();
}

/// The next line, as long as it takes.
pub(super) fn next() -> Line {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    queue.delivering = false;
    CHANGED.notify_all();
    loop {
        if let Some(line) = queue.lines.pop_front() {
            queue.delivering = true;
            return line;
        }
        queue = CHANGED.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Waits until everything queued was delivered, at most `timeout`.
pub(super) fn flush(timeout: Duration) {
    let queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = CHANGED.wait_timeout_while(queue, timeout, |queue| {
        queue.delivering || !queue.lines.is_empty()
    });
}
