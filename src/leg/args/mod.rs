//! FFmpeg's argument lists of an egress process: flat as in the Go original, split into legs, and the tee form of ISOLATE.

mod codec;
#[cfg(test)]
mod tests;
mod wire;

use thiserror::Error;

use crate::config::ProcessSettings;
use crate::rtp::Media;
use crate::rtp::codec::Codec;

use super::Leg;

pub use wire::Wire;

/// `CORERTC_KIND_VIDEO`, `_AUDIO`, `_AV`.
const KIND_VIDEO: u32 = 1;
const KIND_AUDIO: u32 = 2;
const KIND_AV: u32 = 3;

/// Why an argument list is not one of egress legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ArgsError {
    /// [`split_rtp_legs`] found nothing to split at.
    #[error("the argument list has no -map")]
    NoMap,
    /// A `-map` without anything that could be the address.
    #[error("a leg of the argument list has no address")]
    NoAddress,
    /// More than a video and an audio leg.
    #[error("the argument list has more than two -map")]
    TooManyMaps,
}

/// The legs of one process: what the start hook gives to FFmpeg.
pub fn legs(settings: &ProcessSettings, wire: &Wire) -> Result<Vec<Leg>, ArgsError> {
    if settings.isolate {
        return Ok(vec![isolated_leg(settings, wire)]);
    }
    let (first, second) = split_rtp_legs(&build_args(settings, wire))?;
    let halves = [first, second].into_iter().filter(|half| !half.is_empty());
    let media = [Media::Video, Media::Audio]
        .into_iter()
        .filter(|media| has(settings, *media));
    Ok(media
        .zip(halves)
        .map(|(media, args)| flat_leg(settings, wire, media, args))
        .collect())
}

/// (legs, argument bytes with a NUL each) that [`legs`] never exceeds with these settings, whatever is drawn.
#[must_use]
pub fn bounds(settings: &ProcessSettings) -> (usize, usize) {
    let legs = legs(settings, &Wire::LONGEST).unwrap_or_default();
    let bytes = legs.iter().flat_map(|leg| &leg.args);
    (legs.len(), bytes.map(|arg| arg.len() + 1).sum())
}

/// The arguments of every leg in one list, each leg beginning with `-map` and ending with its address. With ISOLATE
/// it is the one list of the tee form, which can't be split.
#[must_use]
pub fn build_args(settings: &ProcessSettings, wire: &Wire) -> Vec<String> {
    if settings.isolate {
        return isolated_args(settings, wire);
    }
    let mut args = Vec::with_capacity(64);
    if settings.video {
        push(&mut args, &["-map", &settings.video_map]);
        args.extend(codec::video(settings));
        args.extend(muxer(settings, wire, Media::Video));
    }
    if settings.audio {
        push(&mut args, &["-map", &settings.audio_map]);
        args.extend(codec::audio(settings));
        args.extend(muxer(settings, wire, Media::Audio));
    }
    args
}

/// Splits a flat list at its second `-map`; the last token of each half is that leg's address. With a single `-map`
/// the second half is empty.
pub fn split_rtp_legs(flat: &[String]) -> Result<(Vec<String>, Vec<String>), ArgsError> {
    let mut maps = flat
        .iter()
        .enumerate()
        .filter(|(_, token)| *token == "-map")
        .map(|(index, _)| index);
    maps.next().ok_or(ArgsError::NoMap)?;
    let second = maps.next();
    if maps.next().is_some() {
        return Err(ArgsError::TooManyMaps);
    }
    let (first, rest) = flat.split_at(second.unwrap_or(flat.len()));
    // `-map x` alone is an option with its value: the address must follow it.
    let lacks_address = |half: &[String]| !half.is_empty() && half.len() < 3;
    if lacks_address(first) || lacks_address(rest) {
        return Err(ArgsError::NoAddress);
    }
    Ok((first.to_vec(), rest.to_vec()))
}

fn flat_leg(settings: &ProcessSettings, wire: &Wire, media: Media, args: Vec<String>) -> Leg {
    let (id, kind) = match media {
        Media::Video => ("corertc_video", KIND_VIDEO),
        Media::Audio => ("corertc_audio", KIND_AUDIO),
    };
    Leg {
        id,
        kind,
        rtp_port: wire.port_of(settings, media),
        payload_type: wire.payload_type_of(media),
        clock_rate: clock_rate(settings, media),
        args,
    }
}

fn isolated_leg(settings: &ProcessSettings, wire: &Wire) -> Leg {
    let sole = match (settings.video, settings.audio) {
        (true, false) => Some(Media::Video),
        (false, true) => Some(Media::Audio),
        _ => None,
    };
    Leg {
        id: "corertc_av",
        kind: KIND_AV,
        rtp_port: wire.port_of(settings, sole.unwrap_or(Media::Video)),
        payload_type: sole.map_or(0, |media| wire.payload_type_of(media)),
        clock_rate: clock_rate(settings, sole.unwrap_or(Media::Video)),
        args: isolated_args(settings, wire),
    }
}

/// One output that survives missing media and failing legs: tee with a null slave (without it FFmpeg ends with
/// "All tee outputs failed"). Bit-stream filters stand at output level: per slave they corrupt H.264.
fn isolated_args(settings: &ProcessSettings, wire: &Wire) -> Vec<String> {
    let mut args = Vec::with_capacity(48);
    let mut slaves = String::new();
    if settings.video {
        push(&mut args, &["-map", &optional(&settings.video_map)]);
        slaves.push_str(&slave(settings, wire, Media::Video));
    }
    if settings.audio {
        push(&mut args, &["-map", &optional(&settings.audio_map)]);
        slaves.push_str(&slave(settings, wire, Media::Audio));
    }
    if settings.video {
        args.extend(codec::video(settings));
    }
    if settings.audio {
        args.extend(codec::audio(settings));
    }
    slaves.push_str("[f=null:onfail=ignore]-");
    push(&mut args, &["-f", "tee", &slaves]);
    args
}

/// One RTP slave of a tee, its separator included. The inner quotes are escaped because tee unquotes twice.
fn slave(settings: &ProcessSettings, wire: &Wire, media: Media) -> String {
    let stream = match media {
        Media::Video => "v:0",
        Media::Audio => "a:0",
    };
    format!(
        "[select=\\'{stream}\\':f=rtp:onfail=ignore:payload_type={}:start_time_realtime={}]{}|",
        wire.payload_type_of(media),
        wire.start_time_us,
        address(settings, wire, media),
    )
}

/// Options of the RTP muxer and the address. The same start time on both legs makes lip sync exact: every sender
/// report then satisfies rtp = base + (ntp - T0) * rate.
fn muxer(settings: &ProcessSettings, wire: &Wire, media: Media) -> Vec<String> {
    let mut args = Vec::new();
    push(
        &mut args,
        &[
            "-payload_type",
            &wire.payload_type_of(media).to_string(),
            "-start_time_realtime",
            &wire.start_time_us.to_string(),
            "-f",
            "rtp",
            &address(settings, wire, media),
        ],
    );
    args
}

/// `rtcpport` is the leg's own port: FFmpeg's default, the port above, is the other leg's. Never `connect=1`: a
/// closed port would then end the process. Without `localaddr` FFmpeg binds its sockets on 0.0.0.0.
fn address(settings: &ProcessSettings, wire: &Wire, media: Media) -> String {
    let port = wire.port_of(settings, media);
    format!(
        "rtp://127.0.0.1:{port}?pkt_size={}&rtcpport={port}&localaddr=127.0.0.1",
        settings.pkt_size
    )
}

/// A map that may match nothing. Only tee takes it: in the flat form FFmpeg would fall back to automatic stream
/// selection and send video to the audio port.
fn optional(map: &str) -> String {
    // A filter graph's label can't be optional.
    if map.ends_with('?') || map.ends_with(']') {
        map.to_owned()
    } else {
        format!("{map}?")
    }
}

fn clock_rate(settings: &ProcessSettings, media: Media) -> u32 {
    match media {
        Media::Video => settings.wire_codec().clock_rate(),
        Media::Audio => Codec::Opus.clock_rate(),
    }
}

fn has(settings: &ProcessSettings, media: Media) -> bool {
    match media {
        Media::Video => settings.video,
        Media::Audio => settings.audio,
    }
}

fn push(args: &mut Vec<String>, tokens: &[&str]) {
    args.extend(tokens.iter().map(|&token| token.to_owned()));
}
