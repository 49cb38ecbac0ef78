//! Text out: `(buf, cap, len)`. `*len` is the length without the NUL on OK and on TOO_SMALL, and nothing partial is
//! written.

use std::ffi::c_char;

use super::arguments::{length, place};
use crate::error::Error;

/// A checked output buffer.
pub(super) struct Output {
    buf: *mut u8,
    cap: usize,
    len: *mut usize,
}

impl Output {
    /// Invalid: `len` NULL, `buf` NULL with room, a room above SSIZE_MAX.
    pub(super) fn new(buf: *mut u8, cap: usize, len: *mut usize) -> Result<Self, Error> {
        let len = place(len, "len")?;
        length(cap, "cap")?;
        if buf.is_null() && cap > 0 {
            return Err(Error::Invalid("buf: NULL".to_owned()));
        }
        Ok(Self { buf, cap, len })
    }

    /// The same for a text buffer.
    pub(super) fn text(buf: *mut c_char, cap: usize, len: *mut usize) -> Result<Self, Error> {
        Self::new(buf.cast(), cap, len)
    }

    /// Writes a text and its NUL.
    pub(super) fn put_text(self, text: &str) -> Result<(), Error> {
        self.put(text.as_bytes(), text.len() + 1)
    }

    /// Writes bytes; a NUL follows where there is room, it is not asked for.
    pub(super) fn put_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.put(bytes, bytes.len())
    }

    fn put(self, bytes: &[u8], needed: usize) -> Result<(), Error> {
        // SAFETY: `len` is not NULL and aligned (`new`), writable by contract.
        unsafe { self.len.write(bytes.len()) };
        if self.cap < needed || self.buf.is_null() {
            return Err(Error::TooSmall(format!("cap: {needed} bytes suffice")));
        }
        // SAFETY: `buf` is not NULL and the caller lends `cap` bytes of it; `cap` holds the bytes, and one more where
        // the NUL is written.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.buf, bytes.len());
            if self.cap > bytes.len() {
                self.buf.add(bytes.len()).write(0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_needs_room_for_its_nul_and_nothing_partial_is_written() {
        let mut buf = [7u8; 8];
        let mut len = 99;
        for cap in 0..4 {
            let out = Output::new(buf.as_mut_ptr(), cap, &raw mut len).expect("valid");
            assert!(matches!(out.put_text("abcd"), Err(Error::TooSmall(_))));
            assert_eq!((len, buf), (4, [7; 8]));
        }
        let out = Output::new(buf.as_mut_ptr(), 5, &raw mut len).expect("valid");
        assert_eq!(out.put_text("abcd"), Ok(()));
        assert_eq!((len, &buf), (4, b"abcd\0\x07\x07\x07"));
    }

    #[test]
    fn asking_for_the_size_is_too_small_even_of_nothing() {
        let mut len = 99;
        let out = Output::new(std::ptr::null_mut(), 0, &raw mut len).expect("valid");
        assert!(matches!(out.put_bytes(b""), Err(Error::TooSmall(_))));
        assert_eq!(len, 0);
    }

    #[test]
    fn bytes_need_no_room_for_a_nul() {
        let mut buf = [7u8; 3];
        let mut len = 99;
        let out = Output::new(buf.as_mut_ptr(), 2, &raw mut len).expect("valid");
        assert_eq!(out.put_bytes(b"ab"), Ok(()));
        assert_eq!((len, &buf), (2, b"ab\x07"));
    }
}
