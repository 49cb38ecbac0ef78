//! See `bodies::rtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| corertc_fuzz::rtp(input));
