//! `corertc_http_…` and `corertc_response_…`: the library's own listener, or the host's server passing requests in.

use std::ffi::c_char;
use std::time::Duration;

use bytes::Bytes;

use super::abi::{corertc_error, corertc_status};
use super::arguments::{bytes, cleared, handle, place, text};
use super::boundary::{release, status, value};
use super::output::Output;
use super::request;
use super::subsystem::corertc_subsystem;

/// The answer to one request.
pub struct corertc_response {
    status: u16,
    headers: String,
    body: Bytes,
}

/// Starts the library's own listener on an IP:port; port 0 lets the system choose. bound_port and err may be NULL. On a
/// disabled subsystem it does nothing.
/// Errors: CORERTC_E_INVALID (the address), CORERTC_E_IO (it is in use), CORERTC_E_STATE (closed, or listening already).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_http_listen(
    subsystem: *mut corertc_subsystem,
    addr: *const c_char,
    addr_len: usize,
    bound_port: *mut u16,
    err: *mut corertc_error,
) -> corertc_status {
    status(err, || {
        let subsystem = handle(subsystem, "subsystem")?;
        let addr = text(addr, addr_len, "addr")?;
        request::check_address(addr)?;
        subsystem.callbacks.refuse_sealed()?;
        let port = subsystem.core.http_listen(addr)?;
        if !bound_port.is_null() {
            // SAFETY: not NULL; the caller lends it for the call.
            unsafe { bound_port.write_unaligned(port) };
        }
        Ok(())
    })
}

/// Ends the listener; its port is free on return. Sessions stay.
/// Errors: CORERTC_E_INVALID, CORERTC_E_STATE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_http_unlisten(
    subsystem: *mut corertc_subsystem,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        handle(subsystem, "subsystem")?.core.http_unlisten()
    })
}

/// Answers one request of the host's own server; works without a listener. target is the raw path and query, prefix
/// included; headers are "Name: value\r\n" lines; remote_addr is the client's address. It blocks at most timeout_ms (0:
/// CORERTC_OPT_HTTP_TIMEOUT_MS), then a half-made session is discarded. Every outcome of HTTP, 4xx and 5xx too, is
/// CORERTC_OK with a response in *out, which the caller frees; else *out is NULL. err may be NULL.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_http_handle(
    subsystem: *mut corertc_subsystem,
    method: *const c_char,
    method_len: usize,
    target: *const c_char,
    target_len: usize,
    headers: *const c_char,
    headers_len: usize,
    body: *const u8,
    body_len: usize,
    remote_addr: *const c_char,
    remote_addr_len: usize,
    timeout_ms: u32,
    out: *mut *mut corertc_response,
    err: *mut corertc_error,
) -> corertc_status {
    let out = cleared(out);
    status(err, || {
        let out = place(out, "out")?;
        let subsystem = handle(subsystem, "subsystem")?;
        let request = request::parse(
            text(method, method_len, "method")?,
            text(target, target_len, "target")?,
            text(headers, headers_len, "headers")?,
            bytes(body, body_len, "body")?,
        )?;
        let remote_addr = text(remote_addr, remote_addr_len, "remote_addr")?;
        let timeout = Duration::from_millis(timeout_ms.into());
        let answer = subsystem.core.http_handle(request, remote_addr, timeout)?;
        let response = corertc_response {
            status: answer.status().as_u16(),
            headers: request::header_lines(answer.headers()),
            body: answer.into_body(),
        };
        // SAFETY: not NULL and aligned; the caller lends it for the call.
        unsafe { out.write(Box::into_raw(Box::new(response))) };
        Ok(())
    })
}

/// The HTTP status; 0 where response is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_response_status(response: *const corertc_response) -> u32 {
    value(0, || Ok(handle(response, "response")?.status.into()))
}

/// The headers as "Name: value\r\n" lines. *len is the length without the NUL on CORERTC_OK and on CORERTC_E_TOO_SMALL;
/// (NULL, 0, &len) asks for it.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_response_headers(
    response: *const corertc_response,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let out = Output::text(buf, cap, len)?;
        out.put_text(&handle(response, "response")?.headers)
    })
}

/// The body: *len bytes, followed by a NUL where there is room for one. (NULL, 0, &len) asks for the length, and is
/// answered CORERTC_E_TOO_SMALL even where that is 0.
/// Errors: CORERTC_E_INVALID, CORERTC_E_TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_response_body(
    response: *const corertc_response,
    buf: *mut u8,
    cap: usize,
    len: *mut usize,
) -> corertc_status {
    status(std::ptr::null_mut(), || {
        let out = Output::new(buf, cap, len)?;
        out.put_bytes(&handle(response, "response")?.body)
    })
}

/// Frees a response; NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn corertc_response_free(response: *mut corertc_response) {
    release(|| {
        if !response.is_null() {
            // SAFETY: made by Box::into_raw in corertc_http_handle; the caller gives it up, by contract once.
            drop(unsafe { Box::from_raw(response) });
        }
    });
}
