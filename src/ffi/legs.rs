//! Legs out: the caller's array of structs, `legs[0].size` apart, and the one buffer their arguments stand in.

use std::ffi::c_char;

use super::abi::corertc_leg;
use super::arguments::{fill, length, place, struct_size};
use crate::error::Error;
use crate::leg::Leg;

/// The caller's two buffers, checked.
pub(super) struct Legs {
    legs: *mut corertc_leg,
    legs_cap: usize,
    legs_len: *mut usize,
    argv: *mut c_char,
    argv_cap: usize,
    argv_len: *mut usize,
    stride: usize,
}

impl Legs {
    /// Checks the pointers and the stride; both lengths are 0 from here on.
    pub(super) fn new(
        (legs, legs_cap, legs_len): (*mut corertc_leg, usize, *mut usize),
        (argv, argv_cap, argv_len): (*mut c_char, usize, *mut usize),
    ) -> Result<Self, Error> {
        let legs_len = place(legs_len, "legs_len")?;
        let argv_len = place(argv_len, "argv_len")?;
        length(legs_cap, "legs_cap")?;
        length(argv_cap, "argv_cap")?;
        if argv.is_null() && argv_cap > 0 {
            return Err(Error::Invalid("argv: NULL".to_owned()));
        }
        let stride = match legs_cap {
            0 => 0,
            _ => struct_size(legs.cast_const().cast(), "legs")?,
        };
        let checked = Self {
            legs,
            legs_cap,
            legs_len,
            argv,
            argv_cap,
            argv_len,
            stride,
        };
        checked.lengths(0, 0);
        Ok(checked)
    }

    /// TooSmall, with both lengths set to what always suffices, where these bounds do not fit.
    pub(super) fn require(&self, (legs, argv): (usize, usize)) -> Result<(), Error> {
        if legs <= self.legs_cap && argv <= self.argv_cap {
            return Ok(());
        }
        self.lengths(legs, argv);
        Err(Error::TooSmall(format!(
            "legs_cap, argv_cap: {legs} legs and {argv} bytes suffice"
        )))
    }

    /// Writes the legs; both lengths are exact. They fit: `require` was asked for their upper bounds.
    pub(super) fn write(&self, legs: &[Leg]) {
        let total: usize = legs.iter().map(argv_len).sum();
        assert!(
            legs.len() <= self.legs_cap && total <= self.argv_cap,
            "start_bounds is an upper bound"
        );
        let mut offset = 0;
        for (index, leg) in legs.iter().enumerate() {
            let mut out = describe(leg);
            out.argv_offset = offset;
            out.size = self.stride.min(size_of::<corertc_leg>());
            // SAFETY: index < legs_cap, and the caller lends legs_cap elements of `stride` bytes.
            unsafe {
                let to = self.legs.byte_add(index * self.stride);
                fill(to, &out, self.stride);
            }
            for arg in &leg.args {
                // SAFETY: all arguments with their NULs take `total` bytes, which argv_cap holds (asserted above).
                unsafe {
                    let to = self.argv.add(offset).cast::<u8>();
                    std::ptr::copy_nonoverlapping(arg.as_ptr(), to, arg.len());
                    to.add(arg.len()).write(0);
                }
                offset += arg.len() + 1;
            }
        }
        self.lengths(legs.len(), total);
    }

    fn lengths(&self, legs: usize, argv: usize) {
        // SAFETY: both are not NULL and aligned (`new`), and lent for the call.
        unsafe {
            self.legs_len.write(legs);
            self.argv_len.write(argv);
        }
    }
}

fn describe(leg: &Leg) -> corertc_leg {
    // SAFETY: plain numbers and characters, for which zero is a value; its padding is initialised too.
    let mut out: corertc_leg = unsafe { std::mem::zeroed() };
    let room = out.id.len() - 1;
    for (to, from) in out.id[..room].iter_mut().zip(leg.id.bytes()) {
        *to = from as c_char;
    }
    out.kind = leg.kind;
    out.rtp_port = leg.rtp_port;
    out.payload_type = leg.payload_type.into();
    out.clock_rate = leg.clock_rate;
    out.argc = u32::try_from(leg.args.len()).unwrap_or(u32::MAX);
    out.argv_len = argv_len(leg);
    out
}

fn argv_len(leg: &Leg) -> usize {
    leg.args.iter().map(|arg| arg.len() + 1).sum()
}

#[cfg(test)]
#[path = "legs_tests.rs"]
mod tests;
