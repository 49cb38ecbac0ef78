//! What this build has, by name.

/// Names `corertc_has_feature` says 1 to.
const FEATURES: &[&str] = &[
    "whep",
    "whip",
    "h264",
    "h265",
    "vp8",
    "vp9",
    "av1",
    "opus",
    "http",
    "pages",
    "isolate",
    "gso",
    "tls",
    "turn",
    "trickle",
    "ice-restart",
];

/// Whether this build has a feature of that name.
#[must_use]
pub fn has_feature(name: &str) -> bool {
    FEATURES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::numbers::*;
    use crate::config::options::Options;
    use crate::error::Error;

    #[test]
    fn every_codec_is_there_and_no_other_text_is_taken() {
        let mut options = Options::process();
        for codec in ["h264", "h265", "vp8", "vp9", "av1"] {
            for option in [CORERTC_PROCESS_VIDEO_CODEC, CORERTC_PROCESS_SOURCE_CODEC] {
                assert_eq!(options.set_text(option, codec), Ok(()));
            }
            assert!(has_feature(codec));
        }
        assert_eq!(
            options.set_text(CORERTC_PROCESS_VIDEO_CODEC, "copy"),
            Ok(())
        );
        for codec in ["theora", "H264 ", "hevc"] {
            for option in [CORERTC_PROCESS_VIDEO_CODEC, CORERTC_PROCESS_SOURCE_CODEC] {
                assert!(matches!(
                    options.set_text(option, codec),
                    Err(Error::Unsupported(_))
                ));
            }
        }
        assert!(has_feature("whep") && has_feature("whip") && !has_feature(""));
    }
}
