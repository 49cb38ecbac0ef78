//! A stream fed by FFmpeg-like senders and by publishers on a virtual clock.

mod batching;
mod codecs;
mod health;
mod liveness;
mod mismatch;
mod publishers;
mod restart;
mod rig;
mod senders;
mod sync;
