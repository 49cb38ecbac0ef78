//! `corertc_subsystem_set_…`: each sets a (fn, user_data, release), replacing the one before; fn NULL detaches.

use std::ffi::c_void;

use super::abi::{
    corertc_auth_fn, corertc_event_fn, corertc_release_fn, corertc_status, corertc_teardown_fn,
};
use super::arguments::handle;
use super::boundary::status;
use super::subsystem::corertc_subsystem;

/// Sets the callback for the end of an egress stream. On return the one before is not running and never runs again, and
/// its release was called once; called from inside that very callback it returns at once, and that holds when the callback
/// returns. A refused call leaves user_data with the caller; with fn NULL user_data and release are not taken.
/// Errors: CORERTC_E_INVALID, CORERTC_E_STATE (closed, or two callbacks would wait for each other).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_set_teardown(
    subsystem: *mut corertc_subsystem,
    r#fn: corertc_teardown_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let callbacks = &handle(subsystem, "subsystem")?.callbacks;
        callbacks.teardown.set(r#fn, user_data, release)
    })
}

/// Sets the callback for the end of an ingest; promises and errors as in corertc_subsystem_set_teardown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_set_whip_teardown(
    subsystem: *mut corertc_subsystem,
    r#fn: corertc_teardown_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let callbacks = &handle(subsystem, "subsystem")?.callbacks;
        callbacks.whip_teardown.set(r#fn, user_data, release)
    })
}

/// Sets the callback for events; promises and errors as in corertc_subsystem_set_teardown. Events are queued in order
/// and bounded; lost ones are counted (corertc_stats.events_lost).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_set_events(
    subsystem: *mut corertc_subsystem,
    r#fn: corertc_event_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let callbacks = &handle(subsystem, "subsystem")?.callbacks;
        callbacks.events.set(r#fn, user_data, release)
    })
}

/// Sets the callback that lets clients in; promises and errors as in corertc_subsystem_set_teardown. A token option is
/// asked besides it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_set_auth(
    subsystem: *mut corertc_subsystem,
    r#fn: corertc_auth_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let callbacks = &handle(subsystem, "subsystem")?.callbacks;
        callbacks.auth.set(r#fn, user_data, release)
    })
}
