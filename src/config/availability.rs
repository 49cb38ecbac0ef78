//! What this build does not have yet. An issue that builds a feature deletes its rows here and adds its name below.

use super::numbers::*;
use crate::error::Error;

/// An option that answers Unsupported unless it gets its default, or one of these texts.
pub(super) type NotYet = (u32, &'static [&'static str]);

pub(super) const SUBSYSTEM: &[NotYet] = &[(CORERTC_OPT_WHIP_CODECS, &[])];

pub(super) const PROCESS: &[NotYet] = &[
    (
        CORERTC_PROCESS_VIDEO_CODEC,
        &["copy", "h264", "h265", "vp8", "vp9", "av1"],
    ),
    (
        CORERTC_PROCESS_SOURCE_CODEC,
        &["h264", "h265", "vp8", "vp9", "av1"],
    ),
];

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

/// Refuses a text whose feature is not there yet.
pub(super) fn check_text(
    rows: &[NotYet],
    option: u32,
    name: &str,
    value: &str,
) -> Result<(), Error> {
    match rows.iter().find(|row| row.0 == option) {
        Some((_, there)) if !there.contains(&value) => Err(Error::Unsupported(format!(
            "{name}: {value:?} is not in this build"
        ))),
        _ => Ok(()),
    }
}

/// Refuses a number whose feature is not there yet.
pub(super) fn check_number(rows: &[NotYet], option: u32, name: &str) -> Result<(), Error> {
    match rows.iter().find(|row| row.0 == option) {
        Some(_) => Err(Error::Unsupported(format!("{name}: not in this build"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{self, Options};

    #[test]
    fn an_option_that_is_not_there_yet_takes_its_default_and_nothing_else() {
        for (option, _) in SUBSYSTEM {
            let mut options = Options::subsystem();
            if let Some(row) = options::SUBSYSTEM.texts.iter().find(|r| r.0 == *option) {
                assert_eq!(options.set_text(*option, row.2), Ok(()));
                assert!(matches!(
                    options.set_text(*option, "x"),
                    Err(Error::Unsupported(text)) if text.starts_with(row.1)
                ));
            } else {
                let row = options::SUBSYSTEM
                    .numbers
                    .iter()
                    .find(|r| r.0 == *option)
                    .expect("a row of the table");
                assert_eq!(options.set_number(*option, row.2), Ok(()));
                assert!(matches!(
                    options.set_number(*option, row.2 + 1),
                    Err(Error::Unsupported(text)) if text.starts_with(row.1)
                ));
            }
        }
    }

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
