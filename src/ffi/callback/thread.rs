//! The one callback thread of a subsystem: takes events from the queue, in order, and calls the host.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Callbacks;
use crate::error::Error;
use crate::events::Events;
use crate::runtime;

/// How long the thread sleeps at most when nothing happens.
const IDLE: Duration = Duration::from_secs(3600);

/// The thread, seen from outside.
pub(in crate::ffi) struct CallbackThread {
    events: Events,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl CallbackThread {
    /// Starts it.
    pub(in crate::ffi) fn start(events: Events, callbacks: Arc<Callbacks>) -> Result<Self, Error> {
        let (alive, ended) = channel::<()>();
        let queue = events.clone();
        runtime::spawn_thread("callback", move || {
            let _alive = alive;
            loop {
                match queue.next(IDLE) {
                    Some(event) => callbacks.call_event(&event),
                    None if queue.is_closed() => break,
                    None => {}
                }
            }
        })
        .map_err(|why| Error::Io(format!("callback thread: {why}")))?;
        Ok(Self {
            events,
            ended: Mutex::new(ended),
        })
    }

    /// Lets it deliver what is queued, then end; Timeout where the host's callback takes longer than `timeout`.
    pub(in crate::ffi) fn stop(&self, timeout: Duration) -> Result<(), Error> {
        self.events.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.recv_timeout(timeout) {
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(
                "the event callback has not returned".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// The same, as long as it takes.
    pub(in crate::ffi) fn join(&self) {
        self.events.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: this returns when the thread has dropped its end.
        let _ = ended.recv();
    }
}
