//! One WebRTC peer, made for WHEP and WHIP: ICE-lite, DTLS, SRTP, and the state of a viewer or publisher.

mod checks;
pub mod dtls;
pub mod feedback;
mod held;
pub mod ice;
pub mod intake;
mod link;
mod moves;
pub mod outbox;
pub mod paths;
pub mod published;
pub mod publisher;
pub mod repair;
pub mod srtp;
pub mod track;
pub mod transport;
pub mod viewer;
mod views;

pub use feedback::Received;
pub use intake::{ExtensionIds, IntakeSetup};
pub use outbox::{Notice, Outbox, PublisherSetup, ViewerSetup};
pub use published::Published;
pub use publisher::{LayerNumbers, Publisher};
pub use repair::Repair;
pub use track::{RtxSetup, TrackSetup};
pub use transport::TransportNumbers;
pub use viewer::{StreamPacket, UDP_IP_LEN, Viewer, room_for, wire_len};
