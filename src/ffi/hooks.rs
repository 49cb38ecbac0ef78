//! `corertc_subsystem_…hooks`: start and stop as tables, for hosts that plug in a set of hooks.

use super::abi::{corertc_hooks, corertc_start_fn, corertc_status, corertc_stop_fn};
use super::arguments::{fill, handle, struct_size};
use super::boundary::status;
use super::input::{corertc_input_start, corertc_input_stop};
use super::process::{corertc_process_start, corertc_process_stop};
use super::subsystem::corertc_subsystem;

/// The hooks of the egress side: on_start and on_stop. Set out->size first.
/// Errors: CORERTC_E_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_hooks(
    subsystem: *mut corertc_subsystem,
    out: *mut corertc_hooks,
) -> corertc_status {
    table(subsystem, out, true, false)
}

/// The hooks of the ingest side: on_input_start and on_input_stop. Set out->size first.
/// Errors: CORERTC_E_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_whip_hooks(
    subsystem: *mut corertc_subsystem,
    out: *mut corertc_hooks,
) -> corertc_status {
    table(subsystem, out, false, true)
}

/// The hooks of both sides. Set out->size first.
/// Errors: CORERTC_E_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_subsystem_merged_hooks(
    subsystem: *mut corertc_subsystem,
    out: *mut corertc_hooks,
) -> corertc_status {
    table(subsystem, out, true, true)
}

fn table(
    subsystem: *mut corertc_subsystem,
    out: *mut corertc_hooks,
    egress: bool,
    ingest: bool,
) -> corertc_status {
    const START: corertc_start_fn = Some(corertc_process_start);
    const STOP: corertc_stop_fn = Some(corertc_process_stop);
    const INPUT_START: corertc_start_fn = Some(corertc_input_start);
    const INPUT_STOP: corertc_stop_fn = Some(corertc_input_stop);
    status(std::ptr::null_mut(), || {
        handle(subsystem.cast_const(), "subsystem")?;
        let size = struct_size(out.cast_const().cast(), "out")?;
        let hooks = corertc_hooks {
            size: size.min(size_of::<corertc_hooks>()),
            subsystem,
            on_start: START.filter(|_| egress),
            on_stop: STOP.filter(|_| egress),
            on_input_start: INPUT_START.filter(|_| ingest),
            on_input_stop: INPUT_STOP.filter(|_| ingest),
        };
        // SAFETY: the caller's struct has `size` bytes; pointers only, no padding.
        unsafe { fill(out, &hooks, size) };
        Ok(())
    })
}
