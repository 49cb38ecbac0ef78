//! What C passes in, checked: handles, texts, bytes, ids, and structs the library fills (size first).

use std::ffi::{c_char, c_void};

use crate::error::Error;

/// A struct's `size` beyond this is garbage, not a newer header.
const ABSURD: usize = 1 << 16;

/// Longest process id in bytes.
const ID_MAX: usize = 512;

/// A handle. Invalid where NULL.
pub(super) fn handle<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Error> {
    if !pointer.is_null() && !pointer.is_aligned() {
        return Err(Error::Invalid(format!("{name}: not a handle")));
    }
    // SAFETY: not NULL and aligned (else None); the caller keeps handles alive for the call, by contract.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// A place for a result. Invalid where NULL.
pub(super) fn place<T>(pointer: *mut T, name: &str) -> Result<*mut T, Error> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(null(name));
    }
    Ok(pointer)
}

/// A place for a handle, NULL from here on: before anything else is looked at, so that a caller who forgot the size of
/// its error struct finds no stale pointer there.
pub(super) fn cleared<T>(pointer: *mut *mut T) -> *mut *mut T {
    if !pointer.is_null() && pointer.is_aligned() {
        // SAFETY: not NULL and aligned; the caller lends it for the call.
        unsafe { pointer.write(std::ptr::null_mut()) };
    }
    pointer
}

/// Bytes; NULL with length 0 is empty.
pub(super) fn bytes<'a>(pointer: *const u8, len: usize, name: &str) -> Result<&'a [u8], Error> {
    length(len, name)?;
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, at most isize::MAX bytes; the caller lends `len` bytes for the call, by contract.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// A text: bytes that are UTF-8.
pub(super) fn text<'a>(pointer: *const c_char, len: usize, name: &str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes(pointer.cast(), len, name)?)
        .map_err(|_| Error::Invalid(format!("{name}: not UTF-8")))
}

/// The id of a process: 1 to 512 bytes of UTF-8 without NUL.
pub(super) fn id<'a>(pointer: *const c_char, len: usize) -> Result<&'a str, Error> {
    let id = text(pointer, len, "id")?;
    if id.is_empty() || id.len() > ID_MAX {
        return Err(Error::Invalid(format!(
            "id: {} bytes, not 1 to {ID_MAX}",
            id.len()
        )));
    }
    if id.contains('\0') {
        return Err(Error::Invalid("id: a NUL in it".to_owned()));
    }
    Ok(id)
}

/// A length that can exist at all: at most SSIZE_MAX.
pub(super) fn length(len: usize, name: &str) -> Result<(), Error> {
    if isize::try_from(len).is_err() {
        return Err(Error::Invalid(format!("{name}: a length above SSIZE_MAX")));
    }
    Ok(())
}

/// The size of a struct as its caller knows it, read from its first field.
pub(super) fn struct_size(pointer: *const c_void, name: &str) -> Result<usize, Error> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL; every struct that is read so begins with a size_t, by contract.
    let size = unsafe { pointer.cast::<usize>().read_unaligned() };
    if !(size_of::<usize>()..=ABSURD).contains(&size) {
        return Err(Error::Invalid(format!("{name}: size {size}")));
    }
    Ok(size)
}

/// Copies as much of a struct as its caller knows.
///
/// # Safety
/// `to` must be writable for `size` bytes; T is plain data without padding that would be read uninitialised.
pub(super) unsafe fn fill<T>(to: *mut T, from: &T, size: usize) {
    // SAFETY: at most `size` bytes are written (promised by the caller) and at most size_of::<T>() are read.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(from).cast::<u8>(),
            to.cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
}

fn null(name: &str) -> Error {
    Error::Invalid(format!("{name}: NULL"))
}
