//! The only `extern "C"`: every export, its argument checks, and the one boundary that catches panics.
#![allow(unsafe_code)]
