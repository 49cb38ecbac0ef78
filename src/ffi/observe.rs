//! What is going on (`corertc_subsystem_stats…`, `_metrics`), and ending one session.

use std::ffi::c_char;

use super::abi::{corertc_stats, corertc_status};
use super::arguments::{fill, handle, struct_size, text};
use super::boundary::status;
use super::callback::log_lost;
use super::output::Output;
use super::subsystem::corertc_subsystem;
use crate::error::Error;

/// The counters. Set out->size first; as much is filled as the caller knows, and size says how much.
/// Errors: CORERTC_E_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_stats(
    subsystem: *const corertc_subsystem,
    out: *mut corertc_stats,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let core = &handle(subsystem, "subsystem")?.core;
        let size = struct_size(out.cast_const().cast(), "out")?;
        let (streams, inputs, viewers, publishers) = core.now();
        let now = core.counters();
        let stats = corertc_stats {
            size: size.min(size_of::<corertc_stats>()),
            streams,
            inputs,
            viewers,
            publishers,
            sessions_total: now.sessions_total.value(),
            sessions_failed: now.sessions_failed.value(),
            leg_packets_in: now.leg_packets_in.value(),
            leg_bytes_in: now.leg_bytes_in.value(),
            leg_wrong_kind: now.leg_wrong_kind.value(),
            leg_drops: now.leg_drops.value(),
            packets_out: now.packets_out.value(),
            bytes_out: now.bytes_out.value(),
            frames_dropped: now.frames_dropped.value(),
            nack_in: now.nack_in.value(),
            repaired: now.repaired.value(),
            pli_in: now.pli_in.value(),
            stun_rejected: now.stun_rejected.value(),
            dtls_failed: now.dtls_failed.value(),
            srtp_rejected: now.srtp_rejected.value(),
            http_2xx: now.http_2xx.value(),
            http_4xx: now.http_4xx.value(),
            http_5xx: now.http_5xx.value(),
            events_lost: core.events().lost(),
            log_lost: log_lost(),
        };
        // SAFETY: the caller's struct has `size` bytes; numbers of eight bytes only, no padding.
        unsafe { fill(out, &stats, size) };
        Ok(())
    })
}

/// The counters, the bound addresses, every stream and every session as one JSON object. *len is the length without the
/// NUL on CORERTC_OK and on CORERTC_E_TOO_SMALL; (NULL, 0, &len) asks for it, and it may have grown by the next call.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_stats_json(
    subsystem: *const corertc_subsystem,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let out = Output::text(buf, cap, len)?;
        out.put_text(&handle(subsystem, "subsystem")?.core.stats_json())
    })
}

/// The metrics in the text format of Prometheus; *len as in corertc_subsystem_stats_json.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_metrics(
    subsystem: *const corertc_subsystem,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let out = Output::text(buf, cap, len)?;
        out.put_text(&handle(subsystem, "subsystem")?.core.metrics())
    })
}

/// Ends one session by its public id, as events and stats_json tell it.
/// Errors: CORERTC_E_INVALID, CORERTC_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_session_close(
    subsystem: *mut corertc_subsystem,
    session: *const c_char,
    session_len: usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let core = &handle(subsystem, "subsystem")?.core;
        let session = text(session, session_len, "session")?;
        if session.is_empty() {
            return Err(Error::Invalid("session: empty".to_owned()));
        }
        core.session_close(session)
    })
}
