//! One WebRTC peer, made for WHEP and WHIP: ICE-lite, DTLS, SRTP, and the state of a viewer.

pub mod dtls;
pub mod ice;
pub mod srtp;
