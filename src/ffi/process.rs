//! `corertc_process_…`: the configuration of a process, its start and its stop.

use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::{corertc_error, corertc_leg, corertc_status};
use super::arguments::{handle, id, text};
use super::boundary::{release, status, value};
use super::legs::Legs;
use super::subsystem::corertc_subsystem;
use crate::config::ProcessSettings;
use crate::config::options::Options;
use crate::error::Error;

/// A configuration of a process, made by corertc_process_config_new.
pub struct corertc_process_config {
    options: Mutex<Options>,
}

impl corertc_process_config {
    fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a start is asked for; NULL is every default.
pub(super) fn settings(config: *const corertc_process_config) -> Result<ProcessSettings, Error> {
    if config.is_null() {
        return Ok(ProcessSettings::default());
    }
    handle(config, "config")?.options().process_settings()
}

/// A process configuration with every option at its default. The caller frees it; a start copies it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_config_new() -> *mut corertc_process_config {
    value(std::ptr::null_mut(), || {
        let options = Mutex::new(Options::process());
        Ok(Box::into_raw(Box::new(corertc_process_config { options })))
    })
}

/// Sets a text option (CORERTC_PROCESS_...), copied. Errors as in corertc_config_set_str.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_config_set_str(
    config: *mut corertc_process_config,
    option: u32,
    value: *const c_char,
    value_len: usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let config = handle(config, "config")?;
        let value = text(value, value_len, "value")?;
        config.options().set_text(option, value)
    })
}

/// Sets a number option (CORERTC_PROCESS_...). Errors as in corertc_config_set_u64; ranges are checked by a start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_config_set_u64(
    config: *mut corertc_process_config,
    option: u32,
    value: u64,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let config = handle(config, "config")?;
        config.options().set_number(option, value)
    })
}

/// Frees a process configuration; NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_config_free(config: *mut corertc_process_config) {
    release(|| {
        if !config.is_null() {
            // SAFETY: made by Box::into_raw in corertc_process_config_new; the caller gives it up, by contract once.
            drop(unsafe { Box::from_raw(config) });
        }
    });
}

/// A process starts: reserves its legs and says what FFmpeg is to be given. id is 1 to 512 bytes of UTF-8 without NUL; config
/// NULL is every default; err may be NULL. legs[0].size is the stride of the array. With too little room nothing is
/// reserved and both lengths say what always suffices (CORERTC_LEGS_MAX and CORERTC_ARGV_MAX do too); on CORERTC_OK both are exact. A known id
/// keeps its ports and, with an equal config, its arguments byte for byte. A disabled subsystem gives no legs.
/// Errors: CORERTC_E_INVALID, CORERTC_E_UNSUPPORTED, CORERTC_E_TOO_SMALL, CORERTC_E_LIMIT (no free ports),
/// CORERTC_E_STATE (closed, or from the teardown callback of this id).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_start(
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
        let settings = settings(config)?;
        subsystem.callbacks.refuse_start(id, false)?;
        subsystem.callbacks.refuse_sealed()?;
        out.require(subsystem.core.start_bounds(id, &settings))?;
        out.write(&subsystem.core.process_start(id, &settings)?);
        Ok(())
    })
}

/// A process ended: call it after FFmpeg is gone. Viewers are told to leave, the teardown callback runs on this thread,
/// and when it returns the sockets are closed and their ports free.
/// Errors: CORERTC_E_INVALID, CORERTC_E_NOT_FOUND (an unknown id: harmless), CORERTC_E_STATE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_process_stop(
    subsystem: *mut corertc_subsystem,
    id: *const c_char,
    id_len: usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let subsystem = handle(subsystem, "subsystem")?;
        subsystem.core.process_stop(self::id(id, id_len)?)
    })
}
