//! `corertc_config_…`: a configuration, option by option.

use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::{corertc_error, corertc_status};
use super::arguments::{handle, text};
use super::boundary::{release, status, value};
use crate::config::IceServer;
use crate::config::options::Options;

/// A configuration of a subsystem, made by corertc_config_new.
pub struct corertc_config {
    options: Mutex<Options>,
}

impl corertc_config {
    /// The options; setters may be called from any thread at once.
    pub(super) fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A configuration with every option at its default. The caller frees it; a subsystem made from it does not need it any
/// more. NULL only where the process can't go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_new() -> *mut corertc_config {
    value(std::ptr::null_mut(), || {
        let options = Mutex::new(Options::subsystem());
        Ok(Box::into_raw(Box::new(corertc_config { options })))
    })
}

/// Sets a text option (CORERTC_OPT_...), copied. An empty text brings back the default.
/// Errors: CORERTC_E_INVALID (an option that takes a number, NULL, not UTF-8, a NUL inside), CORERTC_E_UNSUPPORTED (an
/// unknown option; another value than the default of one whose feature is not in this build).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_set_str(
    config: *mut corertc_config,
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

/// Sets a number option (CORERTC_OPT_...). Ranges are checked by corertc_config_validate and corertc_subsystem_new.
/// Errors: CORERTC_E_INVALID (an option that takes a text), CORERTC_E_UNSUPPORTED (as for a text).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_set_u64(
    config: *mut corertc_config,
    option: u32,
    value: u64,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let config = handle(config, "config")?;
        config.options().set_number(option, value)
    })
}

/// Adds a server that clients are told of: stun:, stuns:, turn: or turns: with host, optional port and, for turn,
/// ?transport=udp or tcp. username and credential may be empty.
/// Errors: CORERTC_E_INVALID (the form of the URI, a control character).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_add_ice_server(
    config: *mut corertc_config,
    uri: *const c_char,
    uri_len: usize,
    username: *const c_char,
    username_len: usize,
    credential: *const c_char,
    credential_len: usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let config = handle(config, "config")?;
        let server = IceServer {
            uri: text(uri, uri_len, "uri")?.to_owned(),
            username: text(username, username_len, "username")?.to_owned(),
            credential: text(credential, credential_len, "credential")?.to_owned(),
        };
        config.options().add_ice_server(server)
    })
}

/// What corertc_subsystem_new would say of the values, without side effects: no socket, and no file but the certificate.
/// err may be NULL; its message names the option at fault.
/// Errors: CORERTC_E_INVALID, CORERTC_E_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_validate(
    config: *const corertc_config,
    err: *mut corertc_error,
) -> corertc_status {
    status(err, || {
        let config = handle(config, "config")?;
        config.options().settings().map(drop)
    })
}

/// Frees a configuration; NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_config_free(config: *mut corertc_config) {
    release(|| {
        if !config.is_null() {
            // SAFETY: made by Box::into_raw in corertc_config_new; the caller gives it up, by contract once.
            drop(unsafe { Box::from_raw(config) });
        }
    });
}
