//! What FFmpeg is told to read an ingest: its description (SDP, RFC 8866) and the argument lists of both forms.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::ProcessSettings;
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::{Expectation, TrackExpectation};

use super::Leg;
use super::base64;

/// Payload type of video, of publishers' packets behind the peer and towards FFmpeg.
pub const VIDEO_PAYLOAD_TYPE: u8 = 96;
/// The same of audio.
pub const AUDIO_PAYLOAD_TYPE: u8 = 111;

const ID: &str = "corertc_input";
const KIND_AV: u32 = 3;

/// Bytes of an id that stand in an RTSP path at most: FFmpeg cuts paths at 1024 bytes, and the secret alone decides.
const ID_IN_PATH_MAX: usize = 256;

/// Everything but RFC 3986's unreserved characters.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What FFmpeg is promised of an input. The promise holds whatever a publisher sends: FFmpeg's stream numbers never
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The video's codec; None: no video.
    pub video: Option<Codec>,
    /// Opus; silence where the publisher sends none.
    pub audio: bool,
}

impl Promise {
    /// What the host's configuration promises.
    #[must_use]
    pub fn of(settings: &ProcessSettings) -> Self {
        Self {
            video: settings.video.then(|| settings.wire_codec()),
            audio: settings.audio,
        }
    }

    /// What publishers are expected to send for it.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        let track = |codec, payload_type| TrackExpectation {
            codec,
            payload_type,
            copied: true,
        };
        Expectation {
            video: self.video.map(|codec| track(codec, VIDEO_PAYLOAD_TYPE)),
            audio: self.audio.then(|| track(Codec::Opus, AUDIO_PAYLOAD_TYPE)),
            start_time_us: 0,
        }
    }

    /// The promised media with codec and payload type, in the order of their m-lines.
    pub(super) fn media(&self) -> impl Iterator<Item = (Media, Codec, u8)> + use<> {
        let video = self
            .video
            .map(|codec| (Media::Video, codec, VIDEO_PAYLOAD_TYPE));
        let audio = self
            .audio
            .then_some((Media::Audio, Codec::Opus, AUDIO_PAYLOAD_TYPE));
        video.into_iter().chain(audio)
    }

    fn clock_rate(&self) -> u32 {
        self.video.unwrap_or(Codec::Opus).clock_rate()
    }
}

/// The leg of form 1: SDP as a `data:` URL, RTP on V (video) and V + 2 (audio). An adjacent pair is impossible: FFmpeg
/// binds RTCP on the port above each.
#[must_use]
pub fn sdp_leg(promise: &Promise, port: u16) -> Leg {
    let port_of = |media| match media {
        Media::Audio if promise.video.is_some() => port + 2,
        _ => port,
    };
    let mut sdp = head();
    for (media, codec, payload_type) in promise.media() {
        medium(&mut sdp, media, codec, payload_type, port_of(media), "");
    }
    // Without localaddr it binds 0.0.0.0. `fpsprobesize 0`: the first frame is out after 0.5 s instead of 1.3 s.
    let args = [
        "-protocol_whitelist",
        "data,file,rtp,udp",
        "-localaddr",
        "127.0.0.1",
        "-listen_timeout",
        "30",
        "-fpsprobesize",
        "0",
        "-analyzeduration",
        "2000000",
        "-reorder_queue_size",
        "0",
        "-buffer_size",
        "4194304",
        "-f",
        "sdp",
    ];
    let address = format!("data:application/sdp;base64,{}", base64::encode(&sdp));
    leg(promise, port, &args, address)
}

/// The leg of form 2: RTSP over TCP from the library's own server.
#[must_use]
pub fn rtsp_leg(promise: &Promise, port: u16, secret: &str, id: &str) -> Leg {
    let args = [
        "-rtsp_transport",
        "tcp",
        "-fpsprobesize",
        "0",
        "-analyzeduration",
        "2000000",
        "-f",
        "rtsp",
    ];
    let address = format!("rtsp://127.0.0.1:{port}/{secret}/{}", in_path(id));
    leg(promise, port, &args, address)
}

/// (legs, argument bytes with a NUL each) that neither leg exceeds for this promise and id.
#[must_use]
pub fn bounds(promise: &Promise, secret: &str, id: &str) -> (usize, usize) {
    let longest = [
        sdp_leg(promise, 65_532),
        rtsp_leg(promise, 65_535, secret, id),
    ];
    let bytes = |leg: &Leg| leg.args.iter().map(|arg| arg.len() + 1).sum();
    (1, longest.iter().map(bytes).max().unwrap_or(0))
}

/// The description of form 2: ports are 0 (RFC 2326 §C.1.1), parameter sets stand in it where they are known.
pub(super) fn rtsp_sdp(promise: &Promise, parameters: &str) -> String {
    let mut sdp = head();
    sdp.push_str("a=control:*\r\n");
    for (index, (media, codec, payload_type)) in promise.media().enumerate() {
        let parameters = if media == Media::Video {
            parameters
        } else {
            ""
        };
        medium(&mut sdp, media, codec, payload_type, 0, parameters);
        let _ = write!(sdp, "a=control:streamid={index}\r\n");
    }
    sdp
}

fn leg(promise: &Promise, rtp_port: u16, args: &[&str], address: String) -> Leg {
    Leg {
        id: ID,
        kind: KIND_AV,
        rtp_port,
        payload_type: 0,
        clock_rate: promise.clock_rate(),
        args: args
            .iter()
            .map(|&arg| arg.to_owned())
            .chain([address])
            .collect(),
    }
}

fn head() -> String {
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=whip\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n".to_owned()
}

fn medium(
    sdp: &mut String,
    media: Media,
    codec: Codec,
    payload_type: u8,
    port: u16,
    parameters: &str,
) {
    let (name, rate) = (codec.name(), codec.clock_rate());
    let channels = if codec == Codec::Opus { "/2" } else { "" };
    let _ = write!(
        sdp,
        "m={} {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {name}/{rate}{channels}\r\n",
        media.name(),
    );
    let format = match codec {
        Codec::H264 => "packetization-mode=1",
        Codec::Opus => "sprop-stereo=1",
        _ => "",
    };
    if !format.is_empty() {
        let _ = write!(sdp, "a=fmtp:{payload_type} {format}{parameters}\r\n");
    }
}

fn in_path(id: &str) -> String {
    let mut path = String::new();
    for character in id.chars() {
        let mut bytes = [0; 4];
        let encoded = utf8_percent_encode(character.encode_utf8(&mut bytes), PLAIN).to_string();
        if path.len() + encoded.len() > ID_IN_PATH_MAX {
            break;
        }
        path.push_str(&encoded);
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BOTH: Promise = Promise {
        video: Some(Codec::H264),
        audio: true,
    };

    #[test]
    fn form_1_is_one_leg_that_describes_four_ports_in_its_address() {
        let leg = sdp_leg(&BOTH, 21_900);
        assert_eq!(
            (leg.id, leg.kind, leg.rtp_port),
            ("corertc_input", 3, 21_900)
        );
        assert_eq!((leg.payload_type, leg.clock_rate), (0, 90_000));
        let (_, encoded) = leg.args.last().unwrap().split_once("base64,").unwrap();
        let sdp = base64::decode(encoded);
        for line in [
            "m=video 21900 RTP/AVP 96",
            "a=rtpmap:96 H264/90000",
            "a=fmtp:96 packetization-mode=1",
            "m=audio 21902 RTP/AVP 111",
            "a=rtpmap:111 opus/48000/2",
        ] {
            assert!(sdp.lines().any(|it| it == line), "{line} in {sdp}");
        }
    }

    #[test]
    fn a_medium_that_is_off_has_no_line() {
        let audio_only = Promise {
            video: None,
            audio: true,
        };
        let sdp = rtsp_sdp(&audio_only, ";x");
        assert!(!sdp.contains("m=video") && !sdp.contains(";x"));
        assert_eq!(sdp_leg(&audio_only, 4000).clock_rate, 48_000);
        let video_only = Promise {
            video: Some(Codec::Vp8),
            audio: false,
        };
        let sdp = rtsp_sdp(&video_only, "");
        assert!(sdp.contains("VP8/90000") && !sdp.contains("m=audio") && !sdp.contains("fmtp"));
    }

    #[test]
    fn a_path_of_form_2_is_plain_and_of_bounded_length() {
        let leg = rtsp_leg(&BOTH, 5540, "s3cret", "restreamer-ui:ingest/{x}");
        assert_eq!(
            leg.args.last().unwrap(),
            "rtsp://127.0.0.1:5540/s3cret/restreamer-ui%3Aingest%2F%7Bx%7D"
        );
        let long = "ü".repeat(256);
        let leg = rtsp_leg(&BOTH, 65_535, &"s".repeat(32), &long);
        assert!(leg.args.last().unwrap().len() < 400);
        let (legs, bytes) = bounds(&BOTH, &"s".repeat(32), &long);
        assert_eq!(legs, 1);
        for leg in [leg, sdp_leg(&BOTH, 65_532)] {
            let taken: usize = leg.args.iter().map(|arg| arg.len() + 1).sum();
            assert!(taken <= bytes && bytes < 16_384);
        }
    }
}
