//! RTP and RTCP on the wire: headers, payload formats per codec, sequence arithmetic. A leaf: names no other module.

pub mod codec;
pub mod extension;
pub mod header;
pub mod rtcp;

/// Which of the two media of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Media {
    Video = 0,
    Audio = 1,
}

impl Media {
    /// `video` or `audio`, as in SDP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}
