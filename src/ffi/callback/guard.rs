//! Which callbacks the calling thread is inside of, and what is refused there because it would wait for itself.

use std::cell::RefCell;

use crate::error::Error;

/// Which callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ffi) enum Kind {
    Teardown,
    WhipTeardown,
    Event,
    Auth,
    Log,
}

/// One callback the thread is inside of.
#[derive(Debug, Clone)]
pub(in crate::ffi) struct Frame {
    kind: Kind,
    /// The address of its subsystem's callbacks; 0 for the log.
    owner: usize,
    /// Of a teardown callback.
    stream_id: String,
}

impl Frame {
    pub(in crate::ffi) fn new(kind: Kind, owner: usize, stream_id: &str) -> Self {
        Self {
            kind,
            owner,
            stream_id: stream_id.to_owned(),
        }
    }
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The thread is inside the callback while this lives.
pub(super) struct Entered;

impl Entered {
    pub(super) fn new(frame: Frame) -> Self {
        FRAMES.with_borrow_mut(|frames| frames.push(frame));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(|frames| {
            frames.pop();
        });
    }
}

/// From the log callback nothing is allowed: State.
pub(in crate::ffi) fn refuse_inside_log() -> Result<(), Error> {
    refuse("the log callback", |frame| frame.kind == Kind::Log)
}

/// No callback of a subsystem may close it: State.
pub(super) fn refuse_close(owner: usize) -> Result<(), Error> {
    refuse("a callback of this subsystem", |frame| frame.owner == owner)
}

/// The teardown callback of an id may not start it: State.
pub(super) fn refuse_start(owner: usize, kind: Kind, id: &str) -> Result<(), Error> {
    refuse("the teardown callback of this id", |frame| {
        frame.owner == owner && frame.kind == kind && frame.stream_id == id
    })
}

fn refuse(place: &str, matches: impl Fn(&Frame) -> bool) -> Result<(), Error> {
    // A thread that is being torn down has no frames left.
    let found = FRAMES
        .try_with(|frames| frames.borrow().iter().any(matches))
        .unwrap_or(false);
    if found {
        return Err(Error::State(format!("not from inside {place}")));
    }
    Ok(())
}
