//! `corertc_input_…`: the ingest side of a process: its start and stop, key frames, interrupts.

use std::ffi::c_char;

use super::abi::{corertc_error, corertc_leg, corertc_status};
use super::arguments::{handle, id};
use super::boundary::status;
use super::legs::Legs;
use super::process::{self, corertc_process_config};
use super::subsystem::corertc_subsystem;
use crate::error::Error;
use crate::subsystem::Subsystem;

/// A process that reads a publisher starts: reserves its input leg, as corertc_process_start does for the output.
/// Errors: as there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_input_start(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
    config: *const corertc_process_config,
    legs: *mut corertc_leg,
    legs_cap: usize,
    legs_len: *mut usize,
    argv: *mut c_char,
    argv_cap: usize,
    argv_len: *mut usize,
    err: *mut corertc_error,
) -> corertc_status {
    status(err, || {
        let out = Legs::new((legs, legs_cap, legs_len), (argv, argv_cap, argv_len))?;
        let subsystem = handle(subsystem, "subsystem")?;
        let id = self::id(id, id_len)?;
        let settings = process::settings(config)?;
        subsystem.callbacks.refuse_start(id, true)?;
        subsystem.callbacks.refuse_sealed()?;
        out.require(subsystem.core.input_bounds(id, &settings))?;
        out.write(&subsystem.core.input_start(id, &settings)?);
        Ok(())
    })
}

/// A process that reads a publisher is about to end: call it before FFmpeg gets its signal, it ends FFmpeg cleanly.
/// Errors: CORERTC_E_INVALID, CORERTC_E_NOT_FOUND (an unknown id: harmless), CORERTC_E_STATE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_input_stop(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
) -> corertc_status {
    with(subsystem, id, id_len, Subsystem::input_stop)
}

/// Asks the publisher for a key frame.
/// Errors: CORERTC_E_INVALID, CORERTC_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_input_request_keyframe(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
) -> corertc_status {
    with(subsystem, id, id_len, Subsystem::input_request_keyframe)
}

/// Ends FFmpeg's current reading cleanly; ingest, ports and publisher stay.
/// Errors: CORERTC_E_INVALID, CORERTC_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_input_interrupt(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
) -> corertc_status {
    with(subsystem, id, id_len, Subsystem::input_interrupt)
}

fn with(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
    call: impl FnOnce(&Subsystem, &str) -> Result<(), Error>,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let subsystem = handle(subsystem, "subsystem")?;
        call(&subsystem.core, self::id(id, id_len)?)
    })
}
