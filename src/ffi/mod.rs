//! The only `extern "C"`: every export, its argument checks, and the one boundary that catches panics. The header is
//! generated from these files (`tests/abi_header.rs`); their comments are its documentation. A call goes from here to
//! `config` or `subsystem`.
#![allow(unsafe_code)]
#![allow(
    non_camel_case_types,
    reason = "types carry the names they have in the header"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a C caller must keep is said once, at the top of the header"
)]

pub mod abi;
mod arguments;
mod boundary;
pub mod callback;
pub mod callbacks;
pub mod config;
pub mod hooks;
pub mod http;
pub mod input;
mod legs;
pub mod library;
pub mod observe;
mod output;
pub mod process;
pub mod request;
pub mod subsystem;
