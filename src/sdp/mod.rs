//! SDP: a WHEP offer read into plain values, an answer written (RFC 9429 §5.3.1, RFC 9725, draft-ietf-wish-whep).

pub mod answer;
pub mod offer;

pub use answer::{AnswerParams, MediaAnswer, write_answer};
pub use offer::{CodecOffer, Direction, MediaOffer, Offer, Setup};
