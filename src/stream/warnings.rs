//! The warnings one medium can give: `codec_mismatch` once per run, the others once per stream.

use serde_json::json;

use super::{Stream, TrackExpectation};
use crate::rtp::Media;

pub(super) struct Warnings {
    media: Media,
    expected: TrackExpectation,
    mismatch: bool,
    parameter_sets: bool,
    b_frames: bool,
}

impl Warnings {
    pub(super) fn new(media: Media, expected: TrackExpectation) -> Self {
        Self {
            media,
            expected,
            mismatch: false,
            parameter_sets: false,
            b_frames: false,
        }
    }

    /// Another FFmpeg may be wrong anew.
    pub(super) fn new_run(&mut self) {
        self.mismatch = false;
    }

    /// The run is another codec; `seen` says by what. Facts told of the medium before no longer hold.
    pub(super) fn mismatch(&mut self, seen: &str, stream: &Stream) {
        if std::mem::replace(&mut self.mismatch, true) {
            return;
        }
        stream.set_track(self.media, None);
        stream.warn(
            "codec_mismatch",
            json!({
                "media": self.media.name(),
                "expected": self.expected.codec.name(),
                "copied": self.expected.copied,
                "seen": seen,
            }),
        );
    }

    /// A key frame without its parameter sets, and none were seen before: nobody could decode it.
    pub(super) fn parameter_sets(&mut self, stream: &Stream) {
        if !std::mem::replace(&mut self.parameter_sets, true) {
            self.plain("no_parameter_sets", stream);
        }
    }

    /// Time runs backwards from packet to packet: browsers can't reorder frames.
    pub(super) fn b_frames(&mut self, stream: &Stream) {
        if !std::mem::replace(&mut self.b_frames, true) {
            self.plain("b_frames", stream);
        }
    }

    fn plain(&self, code: &str, stream: &Stream) {
        let detail = json!({ "media": self.media.name(), "codec": self.expected.codec.name() });
        stream.warn(code, detail);
    }
}
