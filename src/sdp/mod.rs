//! SDP: a WHEP or WHIP offer read into plain values, an answer written (RFC 9429 §5.3.1, RFC 9725, draft-ietf-wish-whep).

pub mod answer;
mod choose;
mod fit;
pub mod fragment;
mod h264;
mod missing;
pub mod offer;
pub mod publish;
mod section;

pub use answer::{AnswerParams, MediaAnswer, choose_playback, write_answer};
pub use fragment::{Fragment, restart_fragment};
pub use offer::{CodecOffer, Direction, MediaOffer, Offer, SdpError, Setup};
pub use publish::{PublishAnswer, choose_publish, write_publish_answer};
