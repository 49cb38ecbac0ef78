//! Codecs by name, and what a stream's packets tell about them: one file per payload format, [`inspect`] over all.

pub mod av1;
mod bits;
pub mod h264;
pub mod h265;
pub mod opus;
pub mod pictures;
pub mod vp8;
pub mod vp9;
pub mod vp9_describe;

/// A codec this library carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Av1,
    Opus,
}

impl Codec {
    /// RTP clock rate in Hz.
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            _ => 90_000,
        }
    }

    /// The encoding name of `a=rtpmap`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "opus",
        }
    }
}

/// What one track of a live stream really carries, learnt from its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackFacts {
    /// The codec that was parsed.
    pub codec: Codec,
    /// What a decoder must be able to do, from the last sequence header; three numbers whose meaning is the codec's:
    /// profile_idc, constraint flags, level_idc (H264; RFC 6184 §8.1); profile, tier, level (H265: general_profile_idc,
    /// general_tier_flag, general_level_idc; AV1: seq_profile, seq_tier, seq_level_idx); profile, 0, 0 (VP9).
    pub profile_level_id: Option<[u8; 3]>,
}

/// What one RTP payload tells about the frame it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadFacts {
    /// What a decoder needs of the sequence is in it (SPS; AV1 sequence header; every VP8 and VP9 key frame).
    pub sequence_header: bool,
    /// What a decoder needs of the picture is in it (PPS; true with the sequence header for codecs without one).
    pub picture_header: bool,
    /// A coded picture or slice starts here.
    pub picture_start: bool,
    /// That picture is a key frame by its own type (IDR, IRAP, VP8/VP9 key frame).
    pub keyframe_start: bool,
    /// That picture is intra coded without being a key frame by type: with parameter sets in front a decoder can
    /// start there too (open groups of pictures of broadcasters).
    pub intra_start: bool,
    /// A further parameter set is in it (VPS of H265).
    pub other_header: bool,
    /// What a sequence header in it says; the numbers of [`TrackFacts::profile_level_id`].
    pub profile_level_id: Option<[u8; 3]>,
    /// A fragment (FU) that goes on from the packet before, by its NAL type.
    pub continues: Option<u8>,
    /// A fragment that the next packet must go on with, by its NAL type.
    pub unfinished: Option<u8>,
}

/// The payload can't be of the codec it should be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotThisCodec(pub &'static str);

/// Reads one RTP payload as `codec`. Never panics; says no where the payload format forbids what it sees.
pub fn inspect(codec: Codec, payload: &[u8]) -> Result<PayloadFacts, NotThisCodec> {
    match codec {
        Codec::H264 => h264::inspect(payload),
        Codec::H265 => h265::inspect(payload),
        Codec::Vp8 => vp8::inspect(payload),
        Codec::Vp9 => vp9::inspect(payload),
        Codec::Av1 => av1::inspect(payload),
        Codec::Opus => opus::inspect(payload),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
                let _ = inspect(codec, &payload);
            }
        }
    }
}
