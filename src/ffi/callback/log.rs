//! The process-wide log callback: set, replaced, detached; the thread that calls it. Nothing global is installed before
//! the host asks for the log.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::guard::{Frame, Kind};
use super::slot::Slot;
use super::{Text, log_queue, subscriber};
use crate::error::Error;
use crate::ffi::abi::{corertc_log_fn, corertc_release_fn};
use crate::runtime;

/// How long a replacement waits for the lines the old callback has not got yet.
const FLUSH: Duration = Duration::from_millis(200);

static SLOT: Slot<corertc_log_fn> = Slot::empty();

/// Sets the callback and the level; None detaches.
pub(in crate::ffi) fn set(
    fun: corertc_log_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
    max_level: i32,
) -> Result<(), Error> {
    // One change at a time, so that the level belongs to the callback. The callback itself can't wait here: from inside
    // it this call is refused at the boundary.
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if fun.is_some() {
        if !(1..=5).contains(&max_level) {
            return Err(Error::Invalid(format!(
                "max_level: {max_level}, not 1 to 5"
            )));
        }
        start(&mut started)?;
    }
    let level = if fun.is_some() { max_level } else { 0 };
    if log_queue::max_level() > 0 {
        log_queue::flush(FLUSH);
    }
    SLOT.set(fun, user_data, release)?;
    log_queue::set_max_level(level);
    subscriber::level_changed();
    Ok(())
}

/// Installs the subscriber and starts the thread, the first time.
fn start(started: &mut bool) -> Result<(), Error> {
    if *started {
        return Ok(());
    }
    runtime::spawn_thread("log", || {
        loop {
            deliver(&log_queue::next());
        }
    })
    .map_err(|why| Error::Io(format!("log thread: {why}")))?;
    *started = true;
    // A Rust host may have its own subscriber, which gets our lines already; ours gets panics then, and no more.
    subscriber::install();
    Ok(())
}

fn deliver(line: &log_queue::Line) {
    let component = Text::new(&line.component);
    let message = Text::new(&line.message);
    let fields = Text::new(&serde_json::Value::Object(line.fields.clone()).to_string());
    SLOT.call(Frame::new(Kind::Log, 0, ""), |fun, user_data| {
        // SAFETY: the host's fn, called as its type says; the texts outlive the call.
        unsafe {
            fun(
                user_data,
                line.level,
                component.pointer(),
                component.len(),
                message.pointer(),
                message.len(),
                fields.pointer(),
                fields.len(),
            );
        }
    });
}
