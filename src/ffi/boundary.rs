//! The one boundary every export goes through: no panic leaves it, the status comes from the error, and the caller's
//! `corertc_error` is filled.

use std::cell::Cell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::abi::{corertc_error, corertc_status};
use super::callback::{guard, panics};
use crate::error::Error;

/// `CORERTC_E_PANIC`: a bug of the library, caught here.
const PANIC: i32 = -9;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling thread is inside an export: a panic there is ours.
pub(super) fn inside() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

/// An export that answers with a status and may have an error to fill (NULL: none).
pub(super) fn status(
    err: *mut corertc_error,
    body: impl FnOnce() -> Result<(), Error>,
) -> corertc_status {
    let outcome = run(|| {
        check_error_struct(err)?;
        body()
    });
    let (code, message) = match outcome {
        Ok(Ok(())) => (0, String::new()),
        Ok(Err(error)) => (error.code(), error.to_string()),
        Err(Panicked) => (PANIC, "the library panicked, which is a bug".to_owned()),
    };
    fill_error(err, code, &message);
    code
}

/// An export that answers with a value; `fallback` where it can't.
pub(super) fn value<T>(fallback: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    match run(body) {
        Ok(Ok(value)) => value,
        _ => fallback,
    }
}

/// An export that frees.
pub(super) fn release(body: impl FnOnce()) {
    // A panic was reported by the hook; freeing has nobody to tell.
    let _ = run(|| {
        body();
        Ok(())
    });
}

struct Panicked;

fn run<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<Result<T, Error>, Panicked> {
    panics::wrap_hook();
    let _inside = Inside::enter();
    catch_unwind(AssertUnwindSafe(|| {
        guard::refuse_inside_log()?;
        body()
    }))
    .map_err(|payload| {
        // A payload's own Drop may panic: forget it instead of unwinding into C.
        std::mem::forget(payload);
        Panicked
    })
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

const ERROR_SIZES: std::ops::RangeInclusive<u32> = 4..=1 << 16;

fn error_size(err: *mut corertc_error) -> Option<u32> {
    if err.is_null() || !err.is_aligned() {
        return None;
    }
    // SAFETY: not NULL and aligned; `size` is the first field, and the caller lends the struct.
    let size = unsafe { (&raw const (*err).size).read() };
    ERROR_SIZES.contains(&size).then_some(size)
}

fn check_error_struct(err: *mut corertc_error) -> Result<(), Error> {
    if err.is_null() || error_size(err).is_some() {
        return Ok(());
    }
    Err(Error::Invalid("err: size".to_owned()))
}

fn fill_error(err: *mut corertc_error, code: i32, message: &str) {
    let Some(size) = error_size(err) else {
        return;
    };
    let ours = size_of::<corertc_error>();
    let size = ours.min(size as usize);
    let mut filled = corertc_error {
        size: size as u32,
        code,
        message: [0; 248],
    };
    // Room for the NUL: the header of the struct takes 8 bytes.
    let message = cut(message, size.saturating_sub(9));
    for (to, from) in filled.message.iter_mut().zip(message.bytes()) {
        *to = from as c_char;
    }
    // SAFETY: the caller's struct has at least `size` bytes, ours too; every byte of ours is initialised (no padding).
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), err.cast::<u8>(), size);
    }
}

/// The longest prefix of at most `room` bytes that ends between two characters.
fn cut(message: &str, room: usize) -> &str {
    let mut end = room.min(message.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
#[path = "boundary_tests.rs"]
mod tests;
