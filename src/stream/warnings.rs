//! What is wrong with a stream now, as codes: each is a WARNING event when it comes up, and stands in `stats_json` until it
//! is over.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::rtp::Media;

/// Codes of warnings, as hosts and pages see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warning {
    /// Packets of another payload type than the leg's.
    WrongKind,
    /// The packets are of another codec than promised.
    CodecMismatch,
    /// Key frames come without what a decoder needs first.
    NoParameterSets,
    /// Time runs backwards from packet to packet: browsers can't reorder frames.
    BFrames,
    /// Key frames are so far apart that viewers without a cached one wait long.
    LongGop,
    /// One medium is silent while the other goes on.
    LegStopped,
}

const ALL: [(Warning, &str); 6] = [
    (Warning::WrongKind, "wrong_kind"),
    (Warning::CodecMismatch, "codec_mismatch"),
    (Warning::NoParameterSets, "no_parameter_sets"),
    (Warning::BFrames, "b_frames"),
    (Warning::LongGop, "long_gop"),
    (Warning::LegStopped, "leg_stopped"),
];

impl Warning {
    pub(super) fn code(self) -> &'static str {
        ALL.iter()
            .find(|(warning, _)| *warning == self)
            .map_or("", |(_, code)| code)
    }
}

/// The warnings that hold now, of both media. Relaxed: each bit is a fact of its own.
#[derive(Debug, Default)]
pub(super) struct Warnings(AtomicU32);

impl Warnings {
    /// True where it did not hold before.
    pub(super) fn raise(&self, warning: Warning, media: Media) -> bool {
        let bit = bit(warning, media);
        self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// It is over.
    pub(super) fn clear(&self, warning: Warning, media: Media) {
        let bit = bit(warning, media);
        // Called per packet: a read is cheaper than a write that changes nothing.
        if self.0.load(Ordering::Relaxed) & bit != 0 {
            self.0.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    pub(super) fn clear_all(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The codes of those that hold.
    pub(super) fn codes(&self) -> Vec<&'static str> {
        let bits = self.0.load(Ordering::Relaxed);
        let holds = |warning| bits & (bit(warning, Media::Video) | bit(warning, Media::Audio)) != 0;
        ALL.iter()
            .filter(|(warning, _)| holds(*warning))
            .map(|(_, code)| *code)
            .collect()
    }
}

fn bit(warning: Warning, media: Media) -> u32 {
    1 << (2 * warning as u32 + media as u32)
}
