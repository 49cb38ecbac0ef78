//! One m-section of an offer: payload types with their formats, feedback and repair (RFC 8866 §5.14, §6.6, §6.15).

use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;

use super::offer::{CodecOffer, Direction, MediaOffer, SdpError};
use crate::rtp::codec::Codec;

/// Length limits of what an answer repeats, so that it stays under FFmpeg's 8191 bytes (P090).
const MID_MAX: usize = 64;
const PROTOCOL_MAX: usize = 40;
const FORMAT_MAX: usize = 32;
const FMTP_MAX: usize = 512;
/// Attributes of one name that are read per section: four times what Chromium sends.
const LINES_MAX: usize = 512;
/// Simulcast layers read, and the length of their names (RFC 8851 §10: alphanumeric, `-` and `_`).
const RIDS_MAX: usize = 8;
const RID_MAX: usize = 32;

/// Reads section `index`; `session` holds the session-level attributes (a direction may stand there).
pub(super) fn read(
    index: usize,
    section: &MediaDescription,
    session: &[Attribute],
) -> Result<MediaOffer, SdpError> {
    let attributes = &section.attributes;
    let wrong = |what: &str| SdpError::Malformed(format!("m-section {index}: {what}"));

    let mid = value(attributes, "mid").map_or("", str::trim);
    if !is_token(mid, MID_MAX) && !mid.is_empty() {
        return Err(wrong("a=mid is not a token of at most 64 characters"));
    }
    let protocol = section.media_name.protos.join("/");
    if !protocol.split('/').all(|part| is_token(part, PROTOCOL_MAX))
        || protocol.len() > PROTOCOL_MAX
    {
        return Err(wrong("the m= line's protocol is not a token"));
    }
    let formats = &section.media_name.formats;
    if formats.is_empty() || !formats.iter().all(|format| is_token(format, FORMAT_MAX)) {
        return Err(wrong("the m= line's formats are not tokens"));
    }
    let rejected = section.media_name.port.value == 0 && value(attributes, "bundle-only").is_none();
    let over_rtp = protocol.split('/').any(|part| part == "RTP");
    let codecs = if over_rtp && !rejected {
        codecs(formats, attributes).map_err(|what| wrong(&what))?
    } else {
        Vec::new()
    };
    // RFC 8858: rtcp-mux-only implies rtcp-mux. Without either this server's one port can't carry the section (P083).
    let muxed = ["rtcp-mux", "rtcp-mux-only"]
        .iter()
        .any(|key| value(attributes, key).is_some());
    if over_rtp && !rejected && !muxed {
        return Err(SdpError::Unacceptable(format!(
            "m-section {index} has no a=rtcp-mux"
        )));
    }
    Ok(MediaOffer {
        kind: section.media_name.media.clone(),
        mid: mid.to_owned(),
        rejected,
        protocol,
        formats: formats.clone(),
        direction: direction(attributes)
            .or_else(|| direction(session))
            .unwrap_or(Direction::SendRecv),
        codecs,
        extensions: values(attributes, "extmap")
            .take(LINES_MAX)
            .filter_map(extension)
            .collect(),
        reduced_size: value(attributes, "rtcp-rsize").is_some(),
        simulcast: simulcast(attributes),
    })
}

/// The value of the first attribute of that name; empty for a flag.
pub(super) fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.key == key)
        .map(|attribute| attribute.value.as_deref().unwrap_or(""))
}

/// The values of all attributes of that name.
pub(super) fn values<'a>(
    attributes: &'a [Attribute],
    key: &'a str,
) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.key == key)
        .filter_map(|attribute| attribute.value.as_deref())
}

/// The value of one parameter of an `a=fmtp` list, its name compared without case.
pub(super) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes
        .iter()
        .find_map(|attribute| match attribute.key.as_str() {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        })
}

/// The payload types of the m-line in its order, each with what the attributes say of it.
fn codecs(formats: &[String], attributes: &[Attribute]) -> Result<Vec<CodecOffer>, String> {
    let mut offered: Vec<CodecOffer> = Vec::with_capacity(formats.len().min(128));
    for format in formats {
        let payload_type = format
            .parse::<u8>()
            .ok()
            .filter(|number| *number < 128)
            .ok_or("a format of the m= line is not a payload type")?;
        if offered
            .iter()
            .all(|codec| codec.payload_type != payload_type)
        {
            offered.push(CodecOffer {
                payload_type,
                name: String::new(),
                codec: None,
                clock_rate: 0,
                channels: 1,
                fmtp: String::new(),
                rtcp_fb: Vec::new(),
                rtx: None,
            });
        }
    }
    for map in values(attributes, "rtpmap").take(LINES_MAX) {
        let (which, what) =
            numbered(map).ok_or("a=rtpmap is not `<payload type> <name>/<rate>`")?;
        let Some(codec) = find(&mut offered, which) else {
            continue;
        };
        let mut parts = what.trim().split('/');
        let name = parts.next().unwrap_or("");
        let clock_rate = parts.next().and_then(|rate| rate.trim().parse().ok());
        if !is_token(name, FORMAT_MAX) {
            return Err(format!("a=rtpmap:{which} has no encoding name"));
        }
        codec.clock_rate = clock_rate.ok_or(format!("a=rtpmap:{which} has no clock rate"))?;
        codec.channels = parts
            .next()
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(1);
        codec.codec = known(name, codec.clock_rate);
        codec.name = name.to_owned();
    }
    for format in values(attributes, "fmtp").take(LINES_MAX) {
        let Some((which, parameters)) = numbered(format) else {
            continue;
        };
        if let Some(codec) = find(&mut offered, which) {
            if parameters.len() > FMTP_MAX {
                return Err(format!("a=fmtp:{which} is longer than {FMTP_MAX} bytes"));
            }
            codec.fmtp = parameters.trim().to_owned();
        }
    }
    feedback(&mut offered, attributes);
    repair(&mut offered);
    Ok(offered)
}

fn feedback(offered: &mut [CodecOffer], attributes: &[Attribute]) {
    for line in values(attributes, "rtcp-fb").take(LINES_MAX) {
        let Some((which, what)) = line.trim().split_once(' ') else {
            continue;
        };
        let what = what.trim();
        for codec in offered.iter_mut() {
            let meant = which == "*" || which.parse() == Ok(codec.payload_type);
            // A payload type has a handful; the bound keeps hostile offers from multiplying.
            if meant && codec.rtcp_fb.len() < 16 && !codec.rtcp_fb.iter().any(|known| known == what)
            {
                codec.rtcp_fb.push(what.to_owned());
            }
        }
    }
}

/// RFC 4588 §8.6: `apt` names the payload type that an RTX payload type repairs.
fn repair(offered: &mut [CodecOffer]) {
    let pairs: Vec<(u8, u8)> = offered
        .iter()
        .filter(|codec| codec.name.eq_ignore_ascii_case("rtx"))
        .filter_map(|codec| {
            Some((
                codec.payload_type,
                parameter(&codec.fmtp, "apt")?.parse().ok()?,
            ))
        })
        .collect();
    for (rtx, repaired) in pairs {
        if let Some(codec) = find(offered, repaired) {
            codec.rtx.get_or_insert(rtx);
        }
    }
}

fn known(name: &str, clock_rate: u32) -> Option<Codec> {
    // H264 and opus come in every case (C036: OPUS).
    [
        Codec::H264,
        Codec::H265,
        Codec::Vp8,
        Codec::Vp9,
        Codec::Av1,
        Codec::Opus,
    ]
    .into_iter()
    .find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate)
}

fn find(offered: &mut [CodecOffer], payload_type: u8) -> Option<&mut CodecOffer> {
    offered
        .iter_mut()
        .find(|codec| codec.payload_type == payload_type)
}

fn numbered(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = text.trim().split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The layers of `a=simulcast:send` (RFC 8853 §5.1) that `a=rid` describes; alternatives and paused ones too.
fn simulcast(attributes: &[Attribute]) -> Vec<String> {
    let line = value(attributes, "simulcast").unwrap_or("");
    let mut words = line.split_whitespace();
    let list = words
        .by_ref()
        .find(|word| *word == "send")
        .and_then(|_| words.next());
    let described: Vec<&str> = values(attributes, "rid")
        .take(LINES_MAX)
        .filter_map(|rid| rid.split_whitespace().next())
        .collect();
    let mut rids: Vec<String> = Vec::new();
    for rid in list.unwrap_or("").split([';', ',']) {
        let rid = rid.trim_start_matches('~');
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let sound = !rid.is_empty() && rid.len() <= RID_MAX && rid.bytes().all(legal);
        if sound && described.contains(&rid) && !rids.iter().any(|known| known == rid) {
            rids.push(rid.to_owned());
        }
    }
    rids.truncate(RIDS_MAX);
    rids
}

/// `a=extmap:<id>[/<direction>] <URI> …` (RFC 8285 §8).
fn extension(text: &str) -> Option<(u8, String)> {
    let (id, rest) = text.trim().split_once(' ')?;
    let id = id.split('/').next()?.parse().ok()?;
    Some((id, rest.split_whitespace().next()?.to_owned()))
}

/// A token of RFC 8866 §9, which holds no blank, quote or bracket, at most `max` long.
fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte))
}
