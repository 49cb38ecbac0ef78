//! The library as a whole: version, status names, features, the log.

use std::ffi::{c_char, c_void};

use super::abi::{corertc_log_fn, corertc_release_fn, corertc_status};
use super::arguments::text;
use super::boundary::{status, value};
use super::callback::log;
use crate::config::availability;

/// CORERTC_ABI_VERSION: goes up only when a host must be rebuilt; the suffix of the SONAME.
const ABI_VERSION: u32 = 1;

/// The name of a status, "CORERTC_E_LIMIT" for instance; "CORERTC_E_UNKNOWN" for a number that is none. Never NULL;
/// lives as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_status_name(status: corertc_status) -> *const c_char {
    let name = match status {
        0 => c"CORERTC_OK",
        -1 => c"CORERTC_E_INVALID",
        -2 => c"CORERTC_E_TOO_SMALL",
        -3 => c"CORERTC_E_NOT_FOUND",
        -4 => c"CORERTC_E_STATE",
        -5 => c"CORERTC_E_TIMEOUT",
        -6 => c"CORERTC_E_LIMIT",
        -7 => c"CORERTC_E_IO",
        -8 => c"CORERTC_E_UNSUPPORTED",
        -9 => c"CORERTC_E_PANIC",
        _ => c"CORERTC_E_UNKNOWN",
    };
    value(name.as_ptr(), || Ok(name.as_ptr()))
}

/// The version of the library that runs, "0.1.0" for instance. Never NULL; lives as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_version() -> *const c_char {
    let version = concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast();
    value(version, || Ok(version))
}

/// The CORERTC_ABI_VERSION of the library that runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_abi_version() -> u32 {
    value(ABI_VERSION, || Ok(ABI_VERSION))
}

/// 1 where this build has a feature of that name ("whep", "whip", "h264", "vp8", "opus", "pages", "isolate", "gso", ...),
/// else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_has_feature(name: *const c_char, name_len: usize) -> i32 {
    value(0, || {
        let name = text(name, name_len, "name")?;
        Ok(i32::from(availability::has_feature(name)))
    })
}

/// Sets the log callback of the whole process; fn NULL detaches. max_level is one of CORERTC_LOG_...: lines above it are
/// not made at all. Lines are queued and bounded; lost ones are counted (corertc_stats.log_lost). A panic of the library
/// arrives here too and nowhere else; nothing is ever written to stderr.
/// Errors: CORERTC_E_INVALID (max_level), CORERTC_E_IO (no thread), CORERTC_E_STATE (from the log callback).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_set_log(
    r#fn: corertc_log_fn,
    user_data: *mut c_void,
    release: corertc_release_fn,
    max_level: i32,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        log::set(r#fn, user_data, release, max_level)
    })
}
