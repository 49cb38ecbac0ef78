//! See `bodies::trickle_fragment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| corertc_fuzz::trickle_fragment(input));
