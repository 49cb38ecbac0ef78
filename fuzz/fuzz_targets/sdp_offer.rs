//! See `bodies::sdp_offer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| corertc_fuzz::sdp_offer(input));
