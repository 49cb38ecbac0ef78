//! One WebRTC peer, made for WHEP and WHIP: ICE-lite, DTLS, SRTP, and the state of a viewer.

pub mod dtls;
pub mod feedback;
pub mod ice;
mod link;
pub mod outbox;
pub mod paths;
pub mod srtp;
pub mod track;
pub mod viewer;

pub use outbox::{Notice, Outbox, ViewerSetup};
pub use track::TrackSetup;
pub use viewer::Viewer;
