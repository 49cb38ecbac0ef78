//! One WebRTC peer, made for WHEP and WHIP: ICE-lite, DTLS, SRTP, and the state of a viewer.

mod checks;
pub mod dtls;
pub mod feedback;
mod held;
pub mod ice;
pub mod outbox;
pub mod paths;
pub mod repair;
pub mod srtp;
pub mod track;
pub mod viewer;

pub use outbox::{Notice, Outbox, ViewerSetup};
pub use repair::Repair;
pub use track::{RtxSetup, TrackSetup};
pub use viewer::{StreamPacket, Viewer, room_for};
