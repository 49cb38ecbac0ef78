//! What a track warns of: the wrong codec, missing parameter sets, time that runs backwards.

use serde_json::json;

use super::super::Stream;
use super::super::warnings::Warning;
use super::Track;
use crate::rtp::codec::Codec;

impl Track {
    /// Another FFmpeg may be right, or wrong anew.
    pub(super) fn forget_complaints(&self, stream: &Stream) {
        for warning in [
            Warning::CodecMismatch,
            Warning::NoParameterSets,
            Warning::BFrames,
        ] {
            stream.clear_warning(warning, self.media);
        }
    }

    /// The run had its time and proved nothing.
    pub(super) fn warn_unproven(&mut self, stream: &Stream) {
        let needs_sets = matches!(self.expected.codec, Codec::H264 | Codec::H265 | Codec::Av1);
        if needs_sets && !self.verifier.mismatch {
            self.warn(Warning::NoParameterSets, stream);
        } else {
            self.verifier.mismatch = true;
            self.warn_mismatch("no key frame of this codec came", stream);
        }
    }

    /// The run is another codec; `seen` says by what. Facts told of the medium before no longer hold.
    pub(super) fn warn_mismatch(&self, seen: &str, stream: &Stream) {
        let detail = json!({
            "media": self.media.name(),
            "expected": self.expected.codec.name(),
            "copied": self.expected.copied,
            "seen": seen,
        });
        if stream.raise(Warning::CodecMismatch, self.media, detail) {
            stream.set_track(self.media, None);
        }
    }

    pub(super) fn warn(&self, warning: Warning, stream: &Stream) {
        let detail = json!({ "media": self.media.name(), "codec": self.expected.codec.name() });
        stream.raise(warning, self.media, detail);
    }
}
