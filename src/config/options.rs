//! Raw option values by number, as the setters store them, and the tables of what exists. Ranges and forms are checked
//! by `validate` and `process`, when the configuration is used as a whole.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::numbers::*;
use super::process::codec;
use super::{IceServer, ice};
use crate::error::Error;

/// A text option: its number, its name, its default.
pub(super) type TextRow = (u32, &'static str, &'static str);
/// A number option: its number, its name, its default, its range.
pub(super) type NumberRow = (u32, &'static str, u64, RangeInclusive<u64>);

const HOUR_MS: u64 = 3_600_000;
const SWITCH: RangeInclusive<u64> = 0..=1;

/// What a family of options has; one for a subsystem, one for a process.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) texts: &'static [TextRow],
    pub(super) numbers: &'static [NumberRow],
    /// Texts that name a video codec: a host that tries one after the other learns at once what this build has.
    video_codecs: &'static [u32],
}

pub(super) static SUBSYSTEM: Family = Family {
    texts: &[
        (CORERTC_OPT_PUBLIC_IP, "PUBLIC_IP", ""),
        (CORERTC_OPT_NAT1TO1_IPS, "NAT1TO1_IPS", ""),
        (CORERTC_OPT_UDP_LISTEN, "UDP_LISTEN", "0.0.0.0:0"),
        (CORERTC_OPT_PATH_PREFIX, "PATH_PREFIX", ""),
        (CORERTC_OPT_CORS_ORIGINS, "CORS_ORIGINS", "*"),
        (CORERTC_OPT_AUTH_TOKEN, "AUTH_TOKEN", ""),
        (CORERTC_OPT_PLAY_TOKEN, "PLAY_TOKEN", ""),
        (CORERTC_OPT_PUBLISH_TOKEN, "PUBLISH_TOKEN", ""),
        (CORERTC_OPT_TLS_CERT_FILE, "TLS_CERT_FILE", ""),
        (CORERTC_OPT_TLS_KEY_FILE, "TLS_KEY_FILE", ""),
        (CORERTC_OPT_TURN_SECRET, "TURN_SECRET", ""),
        (CORERTC_OPT_WHIP_CODECS, "WHIP_CODECS", "all"),
        (CORERTC_OPT_PUBLIC_URL, "PUBLIC_URL", ""),
    ],
    numbers: &[
        (CORERTC_OPT_ENABLE, "ENABLE", 1, SWITCH),
        (CORERTC_OPT_LEG_PORT_MIN, "LEG_PORT_MIN", 0, 0..=65_535),
        (CORERTC_OPT_LEG_PORT_MAX, "LEG_PORT_MAX", 0, 0..=65_535),
        (CORERTC_OPT_WORKERS, "WORKERS", 0, 0..=256),
        (
            CORERTC_OPT_MAX_SESSIONS,
            "MAX_SESSIONS",
            0,
            0..=u32::MAX as u64,
        ),
        (
            CORERTC_OPT_MAX_VIEWERS_PER_STREAM,
            "MAX_VIEWERS_PER_STREAM",
            0,
            0..=u32::MAX as u64,
        ),
        (
            CORERTC_OPT_HTTP_TIMEOUT_MS,
            "HTTP_TIMEOUT_MS",
            10_000,
            1..=HOUR_MS,
        ),
        (
            CORERTC_OPT_HTTP_BODY_MAX,
            "HTTP_BODY_MAX",
            131_072,
            1..=16 << 20,
        ),
        (
            CORERTC_OPT_AUTH_TIMEOUT_MS,
            "AUTH_TIMEOUT_MS",
            4_000,
            1..=HOUR_MS,
        ),
        (
            CORERTC_OPT_SETUP_TIMEOUT_MS,
            "SETUP_TIMEOUT_MS",
            10_000,
            1..=HOUR_MS,
        ),
        (
            CORERTC_OPT_IDLE_TIMEOUT_MS,
            "IDLE_TIMEOUT_MS",
            30_000,
            1..=24 * HOUR_MS,
        ),
        (CORERTC_OPT_TURN_TTL_S, "TURN_TTL_S", 86_400, 1..=31_536_000),
        (CORERTC_OPT_GSO, "GSO", 1, SWITCH),
        (
            CORERTC_OPT_GOP_CACHE_BYTES,
            "GOP_CACHE_BYTES",
            16 << 20,
            0..=1 << 30,
        ),
        (
            CORERTC_OPT_GOP_CACHE_MS,
            "GOP_CACHE_MS",
            12_000,
            0..=HOUR_MS,
        ),
        (CORERTC_OPT_ETAG_STRICT, "ETAG_STRICT", 0, SWITCH),
        (CORERTC_OPT_PAGES, "PAGES", 1, SWITCH),
        (CORERTC_OPT_WHIP_TAKEOVER, "WHIP_TAKEOVER", 0, SWITCH),
        (CORERTC_OPT_WHIP_DIRECT, "WHIP_DIRECT", 0, SWITCH),
        (
            CORERTC_OPT_WAIT_FOR_STREAM_MS,
            "WAIT_FOR_STREAM_MS",
            0,
            0..=HOUR_MS,
        ),
        (
            CORERTC_OPT_STOP_LINGER_MS,
            "STOP_LINGER_MS",
            0,
            0..=24 * HOUR_MS,
        ),
        (CORERTC_OPT_INPUT_TRANSPORT, "INPUT_TRANSPORT", 1, 0..=1),
        (CORERTC_OPT_HTTPS_ONLY, "HTTPS_ONLY", 0, SWITCH),
        (CORERTC_OPT_RAW_TOKEN, "RAW_TOKEN", 0, SWITCH),
        (CORERTC_OPT_PRIVATE_NETWORK, "PRIVATE_NETWORK", 0, SWITCH),
        (CORERTC_OPT_MISSING_MEDIA, "MISSING_MEDIA", 1, 0..=2),
        (
            CORERTC_OPT_ADDRESS_RATE_MAX,
            "ADDRESS_RATE_MAX",
            0,
            0..=1_000_000,
        ),
        (
            CORERTC_OPT_MAX_HALF_OPEN,
            "MAX_HALF_OPEN",
            256,
            0..=u32::MAX as u64,
        ),
    ],
    video_codecs: &[],
};

pub(super) static PROCESS: Family = Family {
    texts: &[
        (CORERTC_PROCESS_VIDEO_MAP, "VIDEO_MAP", "0:v:0"),
        (CORERTC_PROCESS_AUDIO_MAP, "AUDIO_MAP", "0:a:0"),
        (CORERTC_PROCESS_VIDEO_CODEC, "VIDEO_CODEC", "h264"),
        (CORERTC_PROCESS_SOURCE_CODEC, "SOURCE_CODEC", "h264"),
    ],
    numbers: &[
        (CORERTC_PROCESS_VIDEO, "VIDEO", 1, SWITCH),
        (CORERTC_PROCESS_AUDIO, "AUDIO", 1, SWITCH),
        (
            CORERTC_PROCESS_VIDEO_BITRATE,
            "VIDEO_BITRATE",
            2_500_000,
            1_000..=1_000_000_000,
        ),
        (
            CORERTC_PROCESS_KEYFRAME_INTERVAL_MS,
            "KEYFRAME_INTERVAL_MS",
            2_000,
            1..=HOUR_MS,
        ),
        (
            CORERTC_PROCESS_AUDIO_BITRATE,
            "AUDIO_BITRATE",
            128_000,
            500..=512_000,
        ),
        // 1500 less IPv6, UDP and the longest SRTP tag: a larger packet could not be sent on in one piece.
        (CORERTC_PROCESS_PKT_SIZE, "PKT_SIZE", 1_200, 256..=1_436),
        (CORERTC_PROCESS_ISOLATE, "ISOLATE", 0, SWITCH),
        (CORERTC_PROCESS_SINGLE_PORT, "SINGLE_PORT", 0, SWITCH),
    ],
    video_codecs: &[CORERTC_PROCESS_VIDEO_CODEC, CORERTC_PROCESS_SOURCE_CODEC],
};

/// Values set so far; everything else has its default.
#[derive(Debug, Clone)]
pub struct Options {
    family: &'static Family,
    texts: BTreeMap<u32, String>,
    numbers: BTreeMap<u32, u64>,
    pub(super) ice_servers: Vec<IceServer>,
}

impl Options {
    /// Untouched options of a subsystem (`CORERTC_OPT_…`).
    #[must_use]
    pub fn subsystem() -> Self {
        Self::of(&SUBSYSTEM)
    }

    /// Untouched options of a process (`CORERTC_PROCESS_…`).
    #[must_use]
    pub fn process() -> Self {
        Self::of(&PROCESS)
    }

    fn of(family: &'static Family) -> Self {
        Self {
            family,
            texts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ice_servers: Vec::new(),
        }
    }

    /// Stores a text. Errors: Unsupported (unknown option, unknown video codec), Invalid (an option that takes a number, a
    /// NUL in the text).
    pub fn set_text(&mut self, option: u32, value: &str) -> Result<(), Error> {
        let Some((_, name, _)) = self.family.texts.iter().find(|row| row.0 == option) else {
            return Err(match self.family.numbers.iter().find(|r| r.0 == option) {
                Some(row) => Error::Invalid(format!("option: {} takes a number", row.1)),
                None => unknown(option),
            });
        };
        if value.contains('\0') {
            return Err(Error::Invalid(format!("{name}: a NUL in the text")));
        }
        let copies = option == CORERTC_PROCESS_VIDEO_CODEC && value == "copy";
        if self.family.video_codecs.contains(&option) && !copies && !value.is_empty() {
            codec(name, value)?;
        }
        self.texts.insert(option, value.to_owned());
        Ok(())
    }

    /// Stores a number. Errors: Unsupported (unknown option), Invalid (an option that takes a text).
    pub fn set_number(&mut self, option: u32, value: u64) -> Result<(), Error> {
        if !self.family.numbers.iter().any(|row| row.0 == option) {
            return Err(match self.family.texts.iter().find(|r| r.0 == option) {
                Some(row) => Error::Invalid(format!("option: {} takes a text", row.1)),
                None => unknown(option),
            });
        }
        self.numbers.insert(option, value);
        Ok(())
    }

    /// Adds a server for the `Link` headers. Invalid names the argument and what is wrong with it.
    pub fn add_ice_server(&mut self, server: IceServer) -> Result<(), Error> {
        ice::check(&server)?;
        self.ice_servers.push(server);
        Ok(())
    }

    /// A text with its name; an empty text is the same as one never set.
    pub(super) fn text(&self, option: u32) -> (&'static str, &str) {
        let (_, name, default) = self
            .family
            .texts
            .iter()
            .find(|row| row.0 == option)
            .expect("every text option has a row");
        let value = self.texts.get(&option).map_or("", String::as_str);
        (name, if value.is_empty() { default } else { value })
    }

    /// A text that is None where it is empty.
    pub(super) fn secret(&self, option: u32) -> Option<String> {
        let (_, value) = self.text(option);
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A number within its range.
    pub(super) fn number(&self, option: u32) -> Result<u64, Error> {
        let (_, name, default, range) = self
            .family
            .numbers
            .iter()
            .find(|row| row.0 == option)
            .expect("every number option has a row");
        let value = self.numbers.get(&option).copied().unwrap_or(*default);
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (range.start(), range.end());
        Err(Error::Invalid(format!(
            "{name}: {value} is not within {low} to {high}"
        )))
    }

    /// A switch.
    pub(super) fn switch(&self, option: u32) -> Result<bool, Error> {
        Ok(self.number(option)? == 1)
    }
}

fn unknown(option: u32) -> Error {
    Error::Unsupported(format!("option: {option} is unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_kind_of_setter_is_invalid_and_an_unknown_number_unsupported() {
        let mut options = Options::subsystem();
        assert_eq!(
            options.set_number(CORERTC_OPT_PUBLIC_IP, 1),
            Err(Error::Invalid("option: PUBLIC_IP takes a text".into()))
        );
        assert_eq!(
            options.set_text(CORERTC_OPT_ENABLE, "1"),
            Err(Error::Invalid("option: ENABLE takes a number".into()))
        );
        for option in [0, 14, 99, 128, u32::MAX] {
            assert_eq!(options.set_text(option, "x"), Err(unknown(option)));
            assert_eq!(options.set_number(option, 0), Err(unknown(option)));
        }
        assert!(matches!(
            options.set_text(CORERTC_OPT_AUTH_TOKEN, "a\0b"),
            Err(Error::Invalid(text)) if text.starts_with("AUTH_TOKEN:")
        ));
    }

    #[test]
    fn numbers_are_unique_and_defaults_within_their_range() {
        for family in [&SUBSYSTEM, &PROCESS] {
            let mut seen: Vec<u32> = family.texts.iter().map(|row| row.0).collect();
            seen.extend(family.numbers.iter().map(|row| row.0));
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count);
            for (_, name, default, range) in family.numbers {
                assert!(range.contains(default), "{name}");
            }
        }
    }
}
