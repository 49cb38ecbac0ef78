//! What a process call refuses, in the host's words, and what the leg layer's errors become for it.

use crate::config::ProcessSettings;
use crate::error::Error;
use crate::leg::args::ArgsError;
use crate::leg::ports::PortsError;

use super::claims::Refused;

/// Bytes of the longest process id.
const ID_MAX: usize = 512;

/// 1 to 512 bytes without NUL.
pub(super) fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > ID_MAX {
        let text = format!("id has {} bytes: 1 to {ID_MAX} are allowed", id.len());
        return Err(Error::Invalid(text));
    }
    if id.contains('\0') {
        return Err(Error::Invalid("id contains a NUL".to_owned()));
    }
    Ok(())
}

/// At least one medium, and maps that are one argument each.
pub(super) fn check_media(settings: &ProcessSettings) -> Result<(), Error> {
    if !settings.video && !settings.audio {
        let text = "CORERTC_PROCESS_VIDEO and CORERTC_PROCESS_AUDIO are both 0: there is no leg";
        return Err(Error::Invalid(text.to_owned()));
    }
    let maps = [
        (settings.video, &settings.video_map, "VIDEO_MAP"),
        (settings.audio, &settings.audio_map, "AUDIO_MAP"),
    ];
    for (used, map, name) in maps {
        // An option in the place of the map would change what FFmpeg does; "-0:v" (exclude) selects nothing.
        if used && (map.is_empty() || map.starts_with('-') || map.contains('\0')) {
            let text = format!("CORERTC_PROCESS_{name} {map:?} is not a stream map");
            return Err(Error::Invalid(text));
        }
    }
    Ok(())
}

/// No such process.
pub(super) fn unknown(id: &str) -> Error {
    Error::NotFound(format!("there is no process {id:?}"))
}

/// A claim that was not given.
pub(super) fn refusal(id: &str, refused: Refused) -> Error {
    match refused {
        Refused::OwnId => Error::State(format!(
            "process {id:?} is being stopped by the call whose teardown callback this is"
        )),
        Refused::Deadlock => Error::State(format!(
            "waiting for process {id:?} in this callback would deadlock"
        )),
        Refused::TimedOut => Error::Timeout(format!(
            "another call on process {id:?} did not end in time"
        )),
    }
}

impl From<PortsError> for Error {
    fn from(error: PortsError) -> Self {
        match error {
            PortsError::Io(_) => Self::Io(error.to_string()),
            PortsError::RangeFull { .. } | PortsError::NoneFound | PortsError::NoFour(_) => {
                Self::Limit(error.to_string())
            }
        }
    }
}

impl From<ArgsError> for Error {
    fn from(error: ArgsError) -> Self {
        Self::Invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_to_512_bytes_without_nul_are_taken() {
        for good in ["a", "restreamer-ui:ingest:1/2", &"ü".repeat(256)] {
            assert!(check_id(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a\0b", &"x".repeat(513)] {
            assert!(matches!(check_id(bad), Err(Error::Invalid(text)) if text.contains("id")));
        }
    }

    #[test]
    fn a_process_without_media_or_with_an_option_as_map_is_refused() {
        let bad = [
            ProcessSettings {
                video: false,
                audio: false,
                ..ProcessSettings::default()
            },
            ProcessSettings {
                video_map: "-map".to_owned(),
                ..ProcessSettings::default()
            },
            ProcessSettings {
                audio_map: String::new(),
                ..ProcessSettings::default()
            },
        ];
        for settings in bad {
            assert!(matches!(check_media(&settings), Err(Error::Invalid(_))));
        }
        let unused = ProcessSettings {
            audio: false,
            audio_map: String::new(),
            ..ProcessSettings::default()
        };
        assert!(check_media(&unused).is_ok());
    }
}
