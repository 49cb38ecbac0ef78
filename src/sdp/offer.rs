//! A client's offer, read with `rtc-sdp` into the few values a server needs.

use std::io::Cursor;

use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::section::{self, value, values};
use crate::rtp::codec::Codec;

/// Why an offer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP: HTTP 400.
    #[error("the offer is not valid SDP: {0}")]
    Malformed(String),
    /// SDP, but nothing this server can answer: HTTP 422.
    #[error("{0}")]
    Unacceptable(String),
}

/// `a=setup` (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setup {
    Active,
    Passive,
    ActPass,
}

/// Direction attribute (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// One payload type of an m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecOffer {
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name as offered.
    pub name: String,
    /// Known codec, or None (rtx, red, ulpfec, G722 …).
    pub codec: Option<Codec>,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Channels; 1 where not said.
    pub channels: u16,
    /// The `a=fmtp` parameters as offered, empty where none.
    pub fmtp: String,
    /// `a=rtcp-fb` values of this payload type (and of `*`).
    pub rtcp_fb: Vec<String>,
    /// The RTX payload type that repairs this one (`apt=`), if offered.
    pub rtx: Option<u8>,
}

/// One m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaOffer {
    /// `audio`, `video`, `application` …
    pub kind: String,
    /// `a=mid`; empty where none.
    pub mid: String,
    /// Port 0 without `a=bundle-only`.
    pub rejected: bool,
    /// As offered, e.g. `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The formats of the m-line as written.
    pub formats: Vec<String>,
    /// Direction.
    pub direction: Direction,
    /// Payload types in the offer's order.
    pub codecs: Vec<CodecOffer>,
    /// `a=extmap`: (id, URI).
    pub extensions: Vec<(u8, String)>,
    /// `a=rtcp-rsize` present.
    pub reduced_size: bool,
    /// The rids of `a=simulcast:send`, in its order.
    pub simulcast: Vec<String>,
}

/// A whole offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// ICE ufrag (media level first, else session level).
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// DTLS role offered.
    pub setup: Setup,
    /// Fingerprints: (hash name in lower case, bytes).
    pub fingerprints: Vec<(String, Vec<u8>)>,
    /// All m-sections in order.
    pub media: Vec<MediaOffer>,
    /// `a=group:BUNDLE` mids, None where absent.
    pub bundle: Option<Vec<String>>,
    /// `a=ice-options` holds `trickle` or any.
    pub ice_options: String,
}

/// Bytes of SDP read at most; browsers send about 8 KiB.
const TEXT_MAX: usize = 256 * 1024;
/// Lines read at most; browsers send about 250.
const TEXT_LINES_MAX: usize = 4096;
/// m-sections read at most: with two of them live, the answer to so many still fits FFmpeg's 8191 bytes (P090).
const SECTIONS_MAX: usize = 16;

impl Offer {
    /// Reads an offer. Errors are [`SdpError::Malformed`] (400) or [`SdpError::Unacceptable`] (422); they name the
    /// line or attribute at fault and never repeat what it said (P015).
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let description = read(text)?;
        if description.media_descriptions.is_empty() {
            return Err(SdpError::Unacceptable(
                "the offer has no m= section".to_owned(),
            ));
        }
        if description.media_descriptions.len() > SECTIONS_MAX {
            return Err(SdpError::Unacceptable(format!(
                "the offer has more than {SECTIONS_MAX} m= sections"
            )));
        }
        let media = description
            .media_descriptions
            .iter()
            .enumerate()
            .map(|(index, section)| section::read(index, section, &description.attributes))
            .collect::<Result<Vec<_>, _>>()?;
        unique_mids(&media)?;
        if value(&description.attributes, "ice-lite").is_some() {
            return Err(SdpError::Unacceptable(
                "a=ice-lite in the offer: this server is ICE-lite itself and needs a full agent"
                    .to_owned(),
            ));
        }
        // The transport is the one of the offerer-tagged section (RFC 9143 §7.2): the first that is neither
        // rejected nor bundle-only. Session level fills what it does not say (P091).
        let tagged = tagged(&media, &description);
        let levels = Levels {
            own: tagged.map_or(&[], |section| section.attributes.as_slice()),
            session: &description.attributes,
        };
        Ok(Self {
            ufrag: levels.ice("ice-ufrag", 4)?,
            pwd: levels.ice("ice-pwd", 22)?,
            setup: levels.setup()?,
            fingerprints: levels.fingerprints()?,
            bundle: bundle(&description.attributes),
            ice_options: levels.value("ice-options").unwrap_or("").to_owned(),
            media,
        })
    }
}

/// The text as rtc-sdp reads it, bounded and free of control characters before; errors get the line's number.
fn read(text: &str) -> Result<SessionDescription, SdpError> {
    if text.len() > TEXT_MAX {
        return Err(SdpError::Malformed(format!("longer than {TEXT_MAX} bytes")));
    }
    for (index, line) in text.split('\n').enumerate() {
        if index >= TEXT_LINES_MAX {
            let what = format!("more than {TEXT_LINES_MAX} lines");
            return Err(SdpError::Malformed(what));
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(SdpError::Malformed(format!(
                "line {} holds a control character",
                index + 1
            )));
        }
    }
    let mut reader = Cursor::new(text.as_bytes());
    SessionDescription::unmarshal(&mut reader).map_err(|_| {
        let read = usize::try_from(reader.position()).unwrap_or(text.len());
        SdpError::Malformed(describe_line(text, read))
    })
}

/// Names the line the reader stood in after `read` bytes, by number and type.
fn describe_line(text: &str, read: usize) -> String {
    let read = read.min(text.len());
    // A line read to its end leaves the position behind its newline: the line at fault is the one before.
    let before = &text.as_bytes()[..read.saturating_sub(1)];
    let number = before.iter().filter(|&&byte| byte == b'\n').count();
    let line = text.split('\n').nth(number).unwrap_or("").trim_end();
    if line.is_empty() && read >= text.len() {
        return "it ends too early".to_owned();
    }
    // At the end rtc-sdp may as well have missed a further line as disliked the last one.
    let wrong = if read >= text.len() {
        "is wrong, or the text ends too early"
    } else {
        "is wrong or out of order"
    };
    match line.as_bytes() {
        [kind, b'=', ..] if kind.is_ascii_lowercase() => {
            format!("line {} (`{}=`) {wrong}", number + 1, char::from(*kind))
        }
        _ => format!("line {} is not of the form <type>=<value>", number + 1),
    }
}

fn unique_mids(media: &[MediaOffer]) -> Result<(), SdpError> {
    for (index, section) in media.iter().enumerate() {
        let seen = media[..index].iter().any(|other| other.mid == section.mid);
        if seen && !section.mid.is_empty() {
            return Err(SdpError::Malformed(format!(
                "m-section {index} repeats the a=mid of another one"
            )));
        }
    }
    Ok(())
}

fn tagged<'a>(
    media: &[MediaOffer],
    description: &'a SessionDescription,
) -> Option<&'a MediaDescription> {
    let sections = &description.media_descriptions;
    let live = |section: &&(usize, &'a MediaDescription)| !media[section.0].rejected;
    let all: Vec<_> = sections.iter().enumerate().collect();
    all.iter()
        .filter(live)
        .find(|(_, section)| value(&section.attributes, "bundle-only").is_none())
        .or_else(|| all.iter().find(live))
        .map(|(_, section)| *section)
}

fn bundle(attributes: &[Attribute]) -> Option<Vec<String>> {
    values(attributes, "group").find_map(|group| {
        let mut words = group.split_whitespace();
        (words.next() == Some("BUNDLE")).then(|| words.map(str::to_owned).collect())
    })
}

/// An attribute is looked for in the tagged section first, then at session level.
struct Levels<'a> {
    own: &'a [Attribute],
    session: &'a [Attribute],
}

impl<'a> Levels<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        value(self.own, key).or_else(|| value(self.session, key))
    }

    /// `a=ice-ufrag` and `a=ice-pwd`: `min` to 256 ice-chars (RFC 8839 §5.4).
    fn ice(&self, key: &str, min: usize) -> Result<String, SdpError> {
        let text = self
            .value(key)
            .map(str::trim)
            .ok_or_else(|| SdpError::Unacceptable(format!("the offer has no a={key}")))?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
        // RFC 8839 knows no `-`, `_` and `=`, but base64url ufrags are seen in the wild and harm nobody.
        if text.len() < min || text.len() > 256 || !text.chars().all(legal) {
            return Err(SdpError::Malformed(format!(
                "a={key} must be {min} to 256 ice-chars"
            )));
        }
        Ok(text.to_owned())
    }

    /// `a=setup` (RFC 4145 §4); without one the offerer takes either role (RFC 5763 §5 wants actpass).
    fn setup(&self) -> Result<Setup, SdpError> {
        match self.value("setup").map(str::trim) {
            None | Some("actpass") => Ok(Setup::ActPass),
            Some("active") => Ok(Setup::Active),
            Some("passive") => Ok(Setup::Passive),
            Some(_) => Err(SdpError::Unacceptable(
                "a=setup must be actpass, active or passive".to_owned(),
            )),
        }
    }

    /// `a=fingerprint` (RFC 8122 §5), all of one level: each must match later (C034).
    fn fingerprints(&self) -> Result<Vec<(String, Vec<u8>)>, SdpError> {
        let own = fingerprints(self.own)?;
        let all = if own.is_empty() {
            fingerprints(self.session)?
        } else {
            own
        };
        if all.is_empty() {
            return Err(SdpError::Unacceptable(
                "the offer has no a=fingerprint".to_owned(),
            ));
        }
        if !all.iter().any(|(hash, _)| digest_bytes(hash).is_some()) {
            return Err(SdpError::Unacceptable(
                "a=fingerprint: none of sha-256, sha-384, sha-512 is among its hashes".to_owned(),
            ));
        }
        Ok(all)
    }
}

fn fingerprints(attributes: &[Attribute]) -> Result<Vec<(String, Vec<u8>)>, SdpError> {
    values(attributes, "fingerprint")
        .map(|text| {
            fingerprint(text).ok_or_else(|| {
                SdpError::Malformed("a=fingerprint is not `<hash> <AB:CD:…>`".to_owned())
            })
        })
        .collect()
}

fn fingerprint(text: &str) -> Option<(String, Vec<u8>)> {
    let (hash, digest) = text.trim().split_once(' ')?;
    let hash = hash.to_ascii_lowercase();
    let digest = digest
        .trim()
        .split(':')
        .map(|pair| {
            let hex = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        })
        .collect::<Option<Vec<u8>>>()?;
    digest_bytes(&hash)
        .is_none_or(|len| len == digest.len())
        .then_some((hash, digest))
}

fn digest_bytes(hash: &str) -> Option<usize> {
    match hash {
        "sha-256" => Some(32),
        "sha-384" => Some(48),
        "sha-512" => Some(64),
        _ => None,
    }
}

#[cfg(test)]
#[path = "offer_tests.rs"]
pub(crate) mod tests;
