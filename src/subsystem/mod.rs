//! Owns everything below: streams, legs, sessions, shards, listener; the order of creation and of closing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{ProcessSettings, Settings};
use crate::error::Error;
use crate::events::Events;
use crate::leg::Leg;
use crate::signal::auth::AuthHook;
use crate::stats::Counters;

/// What the host plugs in. The functions are called with no lock of the subsystem's held.
#[derive(Clone)]
pub struct Hooks {
    /// Once per egress stream: viewers were told to leave, its sockets are still open.
    pub teardown: Arc<dyn Fn(&str) + Send + Sync>,
    /// The same for an ingest.
    pub whip_teardown: Arc<dyn Fn(&str) + Send + Sync>,
    /// Asked on a POST.
    pub auth: AuthHook,
}

/// One WebRTC side; what `corertc_subsystem` points to.
pub struct Subsystem {}

impl Subsystem {
    /// Does all slow things: certificate, sockets, threads. A disabled one starts nothing and is inert.
    pub fn new(settings: Settings, hooks: Hooks) -> Result<Self, Error> {
        let _ = (settings, hooks);
        todo!("built by the leg helper")
    }

    /// The ENABLE option.
    #[must_use]
    pub fn enabled(&self) -> bool {
        todo!()
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        todo!()
    }

    /// The queue the callback thread drains.
    #[must_use]
    pub fn events(&self) -> &Events {
        todo!()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        todo!()
    }

    /// Upper bounds of what [`Subsystem::process_start`] gives for these settings: (legs, argument bytes with NULs).
    /// The same for every id and at every time; (0, 0) where disabled.
    #[must_use]
    pub fn start_bounds(&self, id: &str, settings: &ProcessSettings) -> (usize, usize) {
        let _ = (id, settings);
        todo!()
    }

    /// Reserves legs (idempotent per id). Errors: Invalid (id), Limit (no ports), State (closed), Unsupported.
    pub fn process_start(&self, id: &str, settings: &ProcessSettings) -> Result<Vec<Leg>, Error> {
        let _ = (id, settings);
        todo!()
    }

    /// Viewers leave, teardown runs, sockets close. NotFound for an unknown id.
    pub fn process_stop(&self, id: &str) -> Result<(), Error> {
        let _ = id;
        todo!()
    }

    /// Processes with egress legs.
    #[must_use]
    pub fn stream_count(&self) -> u32 {
        todo!()
    }

    /// Starts the listener; the bound port. Invalid (address), Io (busy, names it), State (closed, or listening already).
    pub fn http_listen(&self, addr: &str) -> Result<u16, Error> {
        let _ = addr;
        todo!()
    }

    /// Ends the listener; its port is free on return.
    pub fn http_unlisten(&self) -> Result<(), Error> {
        todo!()
    }

    /// One request of a host's own server; blocks at most `timeout` (zero: the option's).
    pub fn http_handle(
        &self,
        request: ::http::Request<Bytes>,
        remote_addr: &str,
        timeout: Duration,
    ) -> Result<::http::Response<Bytes>, Error> {
        let _ = (request, remote_addr, timeout);
        todo!()
    }

    /// Ends one session by its public id.
    pub fn session_close(&self, session: &str) -> Result<(), Error> {
        let _ = session;
        todo!()
    }

    /// The JSON of `corertc_subsystem_stats_json`.
    #[must_use]
    pub fn stats_json(&self) -> String {
        todo!()
    }

    /// Prometheus text.
    #[must_use]
    pub fn metrics(&self) -> String {
        todo!()
    }

    /// (streams, inputs, viewers, publishers) now.
    #[must_use]
    pub fn now(&self) -> (u64, u64, u64, u64) {
        todo!()
    }

    /// Ends everything within `timeout`: viewers, teardown hooks, legs, listener, threads. Idempotent, any thread.
    pub fn close(&self, timeout: Duration) -> Result<(), Error> {
        let _ = timeout;
        todo!()
    }
}
