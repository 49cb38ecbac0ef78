//! Callbacks into the host: fn + user data + release, replace and detach; the one callback thread; our tracing lines to
//! the host's log. Calls come from `subsystem` (teardown, auth), `events` and `tracing`.

pub(super) mod guard;
pub(super) mod log;
mod log_queue;
pub(super) mod panics;
pub(super) mod slot;
mod subscriber;
pub(super) mod thread;

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod slot_tests;
#[cfg(test)]
mod thread_tests;

use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::abi::{corertc_auth_fn, corertc_auth_request, corertc_event_fn, corertc_teardown_fn};
use crate::error::Error;
use crate::events::Event;
use crate::signal::auth::AuthQuery;
use guard::{Frame, Kind};
use slot::Slot;

pub(super) use log_queue::lost as log_lost;

/// The callbacks of one subsystem.
#[derive(Default)]
pub(super) struct Callbacks {
    pub(super) teardown: Slot<corertc_teardown_fn>,
    pub(super) whip_teardown: Slot<corertc_teardown_fn>,
    pub(super) events: Slot<corertc_event_fn>,
    pub(super) auth: Slot<corertc_auth_fn>,
    /// Microseconds the host has spent in teardown callbacks.
    teardown_us: AtomicU64,
}

impl Callbacks {
    /// Runs the teardown callback on this thread.
    pub(super) fn call_teardown(&self, stream_id: &str) {
        self.teardown_of(&self.teardown, Kind::Teardown, stream_id);
    }

    /// Runs the WHIP teardown callback on this thread.
    pub(super) fn call_whip_teardown(&self, stream_id: &str) {
        self.teardown_of(&self.whip_teardown, Kind::WhipTeardown, stream_id);
    }

    fn teardown_of(&self, slot: &Slot<corertc_teardown_fn>, kind: Kind, stream_id: &str) {
        let id = Text::new(stream_id);
        let frame = Frame::new(kind, self.owner(), stream_id);
        let began = Instant::now();
        slot.call(frame, |fun, user_data| {
            // SAFETY: the host's fn, called as its type says; the text outlives the call.
            unsafe { fun(user_data, id.pointer(), id.len) };
        });
        let spent = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.teardown_us.fetch_add(spent, Ordering::Relaxed);
    }

    /// Time the host has spent in teardown callbacks so far.
    pub(super) fn teardown_time(&self) -> Duration {
        Duration::from_micros(self.teardown_us.load(Ordering::Relaxed))
    }

    /// Runs the event callback on this thread.
    pub(super) fn call_event(&self, event: &Event) {
        let id = Text::new(&event.stream_id);
        let detail = Text::new(&event.detail.to_string());
        let frame = Frame::new(Kind::Event, self.owner(), "");
        self.events.call(frame, |fun, user_data| {
            let (id, id_len) = (id.pointer(), id.len);
            let kind = event.kind as u32;
            // SAFETY: the host's fn, called as its type says; both texts outlive the call.
            unsafe { fun(user_data, kind, id, id_len, detail.pointer(), detail.len) };
        });
    }

    /// Asks the auth callback on this thread; None where none is set.
    pub(super) fn call_auth(&self, query: &AuthQuery) -> Option<i32> {
        let texts = [
            &query.stream_id,
            &query.token,
            &query.query,
            &query.remote_addr,
            &query.user_agent,
        ]
        .map(|text| Text::new(text));
        let [stream_id, token, raw_query, remote_addr, user_agent] = &texts;
        let request = corertc_auth_request {
            size: size_of::<corertc_auth_request>(),
            action: query.action as u32,
            reserved: 0,
            stream_id: stream_id.pointer(),
            stream_id_len: stream_id.len,
            token: token.pointer(),
            token_len: token.len,
            query: raw_query.pointer(),
            query_len: raw_query.len,
            remote_addr: remote_addr.pointer(),
            remote_addr_len: remote_addr.len,
            user_agent: user_agent.pointer(),
            user_agent_len: user_agent.len,
        };
        let frame = Frame::new(Kind::Auth, self.owner(), "");
        self.auth.call(frame, |fun, user_data| {
            // SAFETY: the host's fn, called as its type says; the request and its texts outlive the call.
            unsafe { fun(user_data, &raw const request) }
        })
    }

    /// Refuses a call that would wait for the callback it is made from.
    pub(super) fn refuse_close(&self) -> Result<(), Error> {
        guard::refuse_close(self.owner())
    }

    /// Refuses the start of an id from its own teardown callback.
    pub(super) fn refuse_start(&self, id: &str, whip: bool) -> Result<(), Error> {
        let kind = if whip {
            Kind::WhipTeardown
        } else {
            Kind::Teardown
        };
        guard::refuse_start(self.owner(), kind, id)
    }

    /// Refuses what a closed subsystem refuses.
    pub(super) fn refuse_sealed(&self) -> Result<(), Error> {
        self.teardown.refuse_sealed()
    }

    /// From now on nothing can be set.
    pub(super) fn seal(&self) {
        self.teardown.seal();
        self.whip_teardown.seal();
        self.events.seal();
        self.auth.seal();
    }

    /// Detaches all; every user data is released once its fn has returned.
    pub(super) fn clear(&self) {
        self.teardown.clear();
        self.whip_teardown.clear();
        self.events.clear();
        self.auth.clear();
    }

    fn owner(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

/// A text for C: NUL-terminated, its length without the NUL. A NUL inside stays; the length tells.
pub(super) struct Text {
    bytes: Vec<u8>,
    len: usize,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self {
            len: text.len(),
            bytes,
        }
    }

    pub(super) fn pointer(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
