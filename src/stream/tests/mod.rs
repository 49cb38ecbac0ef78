//! A stream fed by FFmpeg-like senders on a virtual clock.

mod batching;
mod codecs;
mod health;
mod liveness;
mod mismatch;
mod restart;
mod rig;
mod senders;
mod sync;
