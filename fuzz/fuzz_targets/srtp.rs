//! See `bodies::srtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| corertc_fuzz::srtp(input));
