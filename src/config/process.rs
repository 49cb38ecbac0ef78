//! From raw options to [`ProcessSettings`]: what one process sends, checked when it starts.

use std::time::Duration;

use super::numbers::*;
use super::options::Options;
use super::{ProcessSettings, VideoCodec};
use crate::error::Error;
use crate::rtp::codec::Codec;

impl Options {
    /// The whole configuration of a process. Invalid names the option at fault.
    pub fn process_settings(&self) -> Result<ProcessSettings, Error> {
        let settings = ProcessSettings {
            video_map: self.map(CORERTC_PROCESS_VIDEO_MAP)?,
            audio_map: self.map(CORERTC_PROCESS_AUDIO_MAP)?,
            video_codec: match self.text(CORERTC_PROCESS_VIDEO_CODEC) {
                (_, "copy") => VideoCodec::Copy,
                (name, text) => VideoCodec::Encode(codec(name, text)?),
            },
            source_codec: {
                let (name, text) = self.text(CORERTC_PROCESS_SOURCE_CODEC);
                codec(name, text)?
            },
            video: self.switch(CORERTC_PROCESS_VIDEO)?,
            audio: self.switch(CORERTC_PROCESS_AUDIO)?,
            video_bitrate_bps: self.number(CORERTC_PROCESS_VIDEO_BITRATE)?,
            keyframe_interval: Duration::from_millis(
                self.number(CORERTC_PROCESS_KEYFRAME_INTERVAL_MS)?,
            ),
            audio_bitrate_bps: self.number(CORERTC_PROCESS_AUDIO_BITRATE)?,
            pkt_size: self.number(CORERTC_PROCESS_PKT_SIZE)?,
            isolate: self.switch(CORERTC_PROCESS_ISOLATE)?,
            single_port: self.switch(CORERTC_PROCESS_SINGLE_PORT)?,
        };
        if !settings.video && !settings.audio {
            return Err(Error::Invalid(
                "VIDEO, AUDIO: both are off, nothing is left to send".to_owned(),
            ));
        }
        Ok(settings)
    }

    /// A stream specifier is one argument of FFmpeg's: it may not turn into an option or end up in two lines.
    fn map(&self, option: u32) -> Result<String, Error> {
        let (name, text) = self.text(option);
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::Invalid(format!(
                "{name}: {text:?} is not a stream specifier"
            )));
        }
        if text.len() > 256 {
            return Err(Error::Invalid(format!("{name}: longer than 256 bytes")));
        }
        Ok(text.to_owned())
    }
}

/// A video codec by its name. Errors: Unsupported.
pub(super) fn codec(name: &str, text: &str) -> Result<Codec, Error> {
    Ok(match text {
        "h264" => Codec::H264,
        "h265" => Codec::H265,
        "vp8" => Codec::Vp8,
        "vp9" => Codec::Vp9,
        "av1" => Codec::Av1,
        _ => return Err(Error::Unsupported(format!("{name}: {text:?} is unknown"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_options_are_the_defaults() {
        assert_eq!(
            Options::process().process_settings(),
            Ok(ProcessSettings::default())
        );
    }

    #[test]
    fn the_option_at_fault_is_named() {
        let texts = [
            (CORERTC_PROCESS_VIDEO_MAP, "-0:v", "VIDEO_MAP"),
            (CORERTC_PROCESS_AUDIO_MAP, "0:a 0", "AUDIO_MAP"),
        ];
        for (option, value, name) in texts {
            let mut options = Options::process();
            assert_eq!(options.set_text(option, value), Ok(()));
            let error = options.process_settings().expect_err(name);
            assert!(matches!(&error, Error::Invalid(text) if text.starts_with(name)));
        }
        let numbers = [
            (CORERTC_PROCESS_VIDEO, 2, "VIDEO"),
            (CORERTC_PROCESS_VIDEO_BITRATE, 0, "VIDEO_BITRATE"),
            (
                CORERTC_PROCESS_KEYFRAME_INTERVAL_MS,
                0,
                "KEYFRAME_INTERVAL_MS",
            ),
            (CORERTC_PROCESS_AUDIO_BITRATE, u64::MAX, "AUDIO_BITRATE"),
            (CORERTC_PROCESS_PKT_SIZE, 9000, "PKT_SIZE"),
            (CORERTC_PROCESS_ISOLATE, 7, "ISOLATE"),
        ];
        for (option, value, name) in numbers {
            let mut options = Options::process();
            assert_eq!(options.set_number(option, value), Ok(()));
            let error = options.process_settings().expect_err(name);
            assert!(matches!(&error, Error::Invalid(text) if text.starts_with(name)));
        }
    }

    #[test]
    fn a_process_without_any_media_is_invalid() {
        let mut options = Options::process();
        assert_eq!(options.set_number(CORERTC_PROCESS_VIDEO, 0), Ok(()));
        assert!(options.process_settings().is_ok());
        assert_eq!(options.set_number(CORERTC_PROCESS_AUDIO, 0), Ok(()));
        assert!(matches!(
            options.process_settings(),
            Err(Error::Invalid(text)) if text.starts_with("VIDEO, AUDIO")
        ));
    }

    #[test]
    fn copy_carries_the_codec_of_the_source() {
        let mut options = Options::process();
        assert_eq!(
            options.set_text(CORERTC_PROCESS_VIDEO_CODEC, "copy"),
            Ok(())
        );
        assert_eq!(
            options.set_text(CORERTC_PROCESS_SOURCE_CODEC, "vp8"),
            Ok(())
        );
        let settings = options.process_settings().expect("valid");
        assert_eq!(settings.wire_codec(), Codec::Vp8);
    }
}
