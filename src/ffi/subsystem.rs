//! `corertc_subsystem_…`: made, asked, closed, freed.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::abi::{corertc_error, corertc_status};
use super::arguments::{cleared, handle, place};
use super::boundary::{release, status, value};
use super::callback::Callbacks;
use super::callback::thread::CallbackThread;
use super::config::corertc_config;
use super::output::Output;
use crate::error::Error;
use crate::subsystem::{Hooks, Subsystem};

/// Time free takes at most to say goodbye where close was not called.
const FREE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time close grants the callback thread for its own last steps, however little is left.
const LAST_STEPS: Duration = Duration::from_millis(20);

/// One WebRTC side, made by corertc_subsystem_new. Several in one process live side by side.
pub struct corertc_subsystem {
    pub(super) core: Subsystem,
    pub(super) callbacks: Arc<Callbacks>,
    /// None where disabled.
    thread: Option<CallbackThread>,
}

impl corertc_subsystem {
    fn start(config: &corertc_config) -> Result<Self, Error> {
        let settings = config.options().settings()?;
        let callbacks = Arc::new(Callbacks::default());
        let (teardown, whip_teardown, auth) = (
            Arc::clone(&callbacks),
            Arc::clone(&callbacks),
            Arc::clone(&callbacks),
        );
        let core = Subsystem::new(
            settings,
            Hooks {
                teardown: Arc::new(move |id| teardown.call_teardown(id)),
                whip_teardown: Arc::new(move |id| whip_teardown.call_whip_teardown(id)),
                auth: Arc::new(move |query| auth.call_auth(query)),
            },
        )?;
        let thread = if core.enabled() {
            let callbacks = Arc::clone(&callbacks);
            Some(CallbackThread::start(core.events().clone(), callbacks)?)
        } else {
            None
        };
        Ok(Self {
            core,
            callbacks,
            thread,
        })
    }

    fn close(&self, timeout: Duration) -> Result<(), Error> {
        self.callbacks.refuse_close()?;
        let (began, host_before) = (Instant::now(), self.callbacks.teardown_time());
        let closed = self.core.close(timeout);
        self.callbacks.seal();
        let host = self.callbacks.teardown_time().saturating_sub(host_before);
        let ours = began.elapsed().saturating_sub(host);
        // What the end of the sessions has raised is still delivered.
        let left = timeout.saturating_sub(ours).max(LAST_STEPS);
        let stopped = self.thread.as_ref().map_or(Ok(()), |t| t.stop(left));
        closed.and(stopped)
    }
}

/// Makes a subsystem: validates the whole configuration, makes the certificate, binds the sockets, starts the threads. On
/// CORERTC_OK *out is its handle, else NULL. The configuration stays the caller's. err may be NULL.
/// Errors: CORERTC_E_INVALID and CORERTC_E_UNSUPPORTED (the message names the option), CORERTC_E_IO (the address in use).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_new(
    config: *const corertc_config,
    out: *mut *mut corertc_subsystem,
    err: *mut corertc_error,
) -> corertc_status {
    let out = cleared(out);
    status(err, || {
        let out = place(out, "out")?;
        let subsystem = corertc_subsystem::start(handle(config, "config")?)?;
        // SAFETY: not NULL and aligned; the caller lends it for the call.
        unsafe { out.write(Box::into_raw(Box::new(subsystem))) };
        Ok(())
    })
}

/// The option CORERTC_OPT_ENABLE: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_enabled(subsystem: *const corertc_subsystem) -> i32 {
    value(0, || {
        Ok(i32::from(handle(subsystem, "subsystem")?.core.enabled()))
    })
}

/// Ends everything: viewers and publishers are told to leave, the teardown callbacks run, sockets close, threads end.
/// From any thread, as often as you like; when it returns CORERTC_OK every port is free. Afterwards start, listen and set_... answer
/// CORERTC_E_STATE, HTTP answers 404, statistics still answer. Time the host spends in teardown callbacks does not count.
/// Errors: CORERTC_E_TIMEOUT (call it again), CORERTC_E_STATE (from a callback of this subsystem).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_close(
    subsystem: *mut corertc_subsystem,
    timeout_ms: u32,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let timeout = Duration::from_millis(timeout_ms.into());
        handle(subsystem, "subsystem")?.close(timeout)
    })
}

/// The last call: closes where that was not done, waits for running callbacks, releases their user data and frees the
/// handle. No other call may be running or follow; never from a callback. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_free(subsystem: *mut corertc_subsystem) {
    release(|| {
        let Ok(borrowed) = handle(subsystem.cast_const(), "subsystem") else {
            return;
        };
        // Freed from inside its own callback, it would be pulled away under that callback: rather leak it.
        if borrowed.callbacks.refuse_close().is_err() {
            return;
        }
        // A timeout changes nothing here: what is left ends when its owner is dropped below.
        let _ = borrowed.close(FREE_TIMEOUT);
        if let Some(thread) = &borrowed.thread {
            thread.join();
        }
        borrowed.callbacks.clear();
        // SAFETY: made by Box::into_raw in corertc_subsystem_new; the caller gives it up, by contract once.
        drop(unsafe { Box::from_raw(subsystem) });
    });
}

/// Processes with egress legs; 0 where subsystem is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_stream_count(
    subsystem: *const corertc_subsystem,
) -> u32 {
    value(0, || {
        Ok(handle(subsystem, "subsystem")?.core.stream_count())
    })
}

/// The URIs of the configured ICE servers, one a line. *len is the length without the NUL on CORERTC_OK and on
/// CORERTC_E_TOO_SMALL; (NULL, 0, &len) asks for it.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_ice_server_uris(
    subsystem: *const corertc_subsystem,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let out = Output::text(buf, cap, len)?;
        let servers = &handle(subsystem, "subsystem")?.core.settings().ice_servers;
        let uris: Vec<&str> = servers.iter().map(|server| server.uri.as_str()).collect();
        out.put_text(&uris.join("\n"))
    })
}
