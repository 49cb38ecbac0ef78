//! corertc: the WebRTC side of a media host that drives FFmpeg, behind a C ABI. This file is the map.
//!
//! A packet (data path): FFmpeg → [`leg`] → [`stream`] (frame batch) → [`fanout`] (shard, viewer-major)
//! → [`peer`] (SRTP) → [`net`] (GSO) → viewers.
//!
//! A request (control path): C call → [`ffi`] → [`subsystem`] → [`signal`] → [`session`] → [`peer`];
//! HTTP → [`http`] → [`signal`].
//!
//! `ARCHITECTURE.md` has the rules; `tests/architecture.rs` holds them.

pub mod config;
pub mod error;
pub mod events;
pub mod fanout;
pub mod ffi;
pub mod http;
pub mod leg;
pub mod metrics;
pub mod net;
pub mod peer;
pub mod rtp;
pub mod runtime;
pub mod sdp;
pub mod session;
pub mod signal;
pub mod stats;
pub mod stream;
pub mod subsystem;
