//! Closing: processes with their goodbyes and hooks on the caller's thread, then listener, shards and runtime.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::fanout::Fanout;
use crate::runtime::{self, Control};

use super::deadline::Deadline;
use super::gate::Turn;
use super::serve::Serve;
use super::{Running, Subsystem};

impl Subsystem {
    /// Ends everything within `timeout`: viewers, teardown hooks, legs, listener, threads. Idempotent, any thread.
    pub fn close(&self, timeout: Duration) -> Result<(), Error> {
        if self
            .running
            .as_ref()
            .is_some_and(|it| it.living.processes.in_hook())
        {
            let text = "close was called from a teardown callback";
            return Err(Error::State(text.to_owned()));
        }
        let mut deadline = Deadline::after(timeout);
        let work = match self.gate.enter(&deadline) {
            Turn::Done => return Ok(()),
            Turn::TimedOut => return Err(late()),
            Turn::Work(work) => work,
        };
        if let Some(running) = &self.running {
            running.close(&mut deadline)?;
            tracing::info!("subsystem closed");
        }
        work.done();
        Ok(())
    }
}

impl Running {
    /// What is late goes on in the background; the next close waits for it.
    fn close(&self, deadline: &mut Deadline) -> Result<(), Error> {
        self.living.sessions.close();
        // Inputs first: what they feed ends while its viewers can still be told.
        let inputs = self.living.inputs.close(deadline);
        let processes = self.living.processes.close(deadline);
        inputs.and(processes).and(self.tail.close(deadline))
    }
}

/// What is closed after the processes, on a thread of its own: none of it has a deadline.
pub(super) struct Tail {
    state: Mutex<State>,
}

enum State {
    Running {
        serve: Arc<Serve>,
        fanout: Fanout,
        control: Control,
    },
    Closing(mpsc::Receiver<()>),
    Closed,
}

impl Tail {
    pub(super) fn new(serve: Arc<Serve>, fanout: Fanout, control: Control) -> Self {
        Self {
            state: Mutex::new(State::Running {
                serve,
                fanout,
                control,
            }),
        }
    }

    fn close(&self, deadline: &Deadline) -> Result<(), Error> {
        // Held while waiting: the gate lets one caller in at a time.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, State::Closed) {
            State::Running {
                serve,
                fanout,
                control,
            } => State::Closing(begin(serve, fanout, control, deadline.at())?),
            other => other,
        };
        if let State::Closing(finished) = &*state {
            // Disconnected: the thread is gone, whatever became of it.
            if let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(deadline.left()) {
                return Err(late());
            }
            *state = State::Closed;
        }
        Ok(())
    }
}

fn begin(
    serve: Arc<Serve>,
    fanout: Fanout,
    control: Control,
    deadline: Instant,
) -> Result<mpsc::Receiver<()>, Error> {
    let (alive, finished) = mpsc::channel();
    let thread = runtime::spawn_thread("close", move || {
        let _alive = alive;
        serve.close();
        fanout.shutdown();
        control.shutdown(deadline.saturating_duration_since(Instant::now()));
    });
    thread.map_err(|error| Error::Io(format!("can't start the closing thread: {error}")))?;
    Ok(finished)
}

fn late() -> Error {
    Error::Timeout("closing did not end in time; it goes on".to_owned())
}
