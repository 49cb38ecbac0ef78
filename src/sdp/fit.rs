//! How well an offered format fits a stream: by profile, tier and level, each codec in its own parameters.

use super::h264::{self, Profile};
use super::offer::CodecOffer;
use super::section::parameter;
use crate::rtp::codec::{Codec, TrackFacts};

/// RFC 6184 §8.1: what an H264 format without `profile-level-id` means.
const H264_DEFAULT: [u8; 3] = [0x42, 0x00, 0x0a];

/// Smaller is nearer; None where a decoder of that format can't show the stream. Levels and tiers never refuse, and no
/// profile of H264 does: offers understate what they decode (P096). Profiles of the others mean more bits or chroma.
pub(super) fn distance(codec: &CodecOffer, facts: TrackFacts) -> Option<(u8, u8)> {
    let stream = facts.profile_level_id;
    match facts.codec {
        Codec::H264 => {
            // FFmpeg fragments: packetization-mode 1. Mode 0 only where nothing else is offered (C037).
            let mode = u8::from(parameter(&codec.fmtp, "packetization-mode") != Some("1"));
            Some((mode, h264_distance(codec, facts)))
        }
        // RFC 9628 §6.1: a format is one profile, 0 where not said.
        Codec::Vp9 => {
            let profile = stream.map_or(0, |[profile, ..]| profile);
            (number(codec, "profile-id", 0) == u32::from(profile)).then_some((0, 0))
        }
        Codec::Av1 => av1(codec, stream.unwrap_or_default()),
        Codec::H265 => h265(codec, stream.unwrap_or(H265_DEFAULT)),
        Codec::Vp8 | Codec::Opus => Some((0, 0)),
    }
}

/// The offered format has the stream's own H264 profile.
pub(super) fn has_profile_of(codec: &CodecOffer, facts: TrackFacts) -> bool {
    h264_distance(codec, facts) == 0
}

/// The stream's codec for a refusal, with the profile where that can be what is missing.
pub(super) fn name(facts: TrackFacts) -> String {
    let name = facts.codec.name();
    match (facts.codec, facts.profile_level_id) {
        (Codec::Vp9 | Codec::Av1 | Codec::H265, Some([profile, ..])) => {
            format!("{name} (profile {profile})")
        }
        _ => name.to_owned(),
    }
}

/// The same profile first, then one whose decoders take the stream, then any.
fn h264_distance(codec: &CodecOffer, facts: TrackFacts) -> u8 {
    let Some(stream) = facts.profile_level_id.map(Profile::of) else {
        return 0;
    };
    let offered = parameter(&codec.fmtp, "profile-level-id")
        .and_then(h264::read)
        .unwrap_or(H264_DEFAULT);
    match Profile::of(offered) {
        offered if offered == stream => 0,
        offered if offered.decodes(stream) => 1,
        _ => 2,
    }
}

/// AV1's RTP payload specification §7.2.1; AV1 §A.2: a decoder of a profile takes those below it.
fn av1(codec: &CodecOffer, [profile, tier, level]: [u8; 3]) -> Option<(u8, u8)> {
    let above = number(codec, "profile", 0).checked_sub(u32::from(profile))?;
    let limits =
        below(number(codec, "tier", 0), tier) + below(number(codec, "level-idx", 5), level);
    Some((u8::try_from(above).unwrap_or(u8::MAX), limits))
}

/// What `profile-id`, `tier-flag` and `level-id` mean where they are not said (RFC 7798 §7.1).
const H265_DEFAULT: [u8; 3] = [1, 0, 93];

/// RFC 7798 §7.1; H.265 §A.3: Main 10 decoders take Main, those of the range extensions take both.
fn h265(codec: &CodecOffer, [profile, tier, level]: [u8; 3]) -> Option<(u8, u8)> {
    let single = parameter(&codec.fmtp, "tx-mode").is_none_or(|mode| mode == "SRST");
    if !single || number(codec, "profile-space", 0) != 0 {
        return None;
    }
    let [default_profile, default_tier, default_level] = H265_DEFAULT.map(u32::from);
    let offered = number(codec, "profile-id", default_profile);
    let decodes = match offered {
        2 => matches!(profile, 1 | 3),
        4 => matches!(profile, 1..=3),
        1 => profile == 3,
        _ => false,
    };
    let same = offered == u32::from(profile);
    let limits = below(number(codec, "tier-flag", default_tier), tier)
        + below(number(codec, "level-id", default_level), level);
    (same || decodes).then_some((u8::from(!same), limits))
}

fn below(offered: u32, stream: u8) -> u8 {
    u8::from(offered < u32::from(stream))
}

fn number(codec: &CodecOffer, name: &str, default: u32) -> u32 {
    parameter(&codec.fmtp, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
