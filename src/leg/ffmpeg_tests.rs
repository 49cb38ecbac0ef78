//! The argument lists against the real FFmpeg: what it is told to send is what arrives on the legs, and nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;

use super::args::{Wire, legs};
use super::ports::Ports;
use super::receive::{Feed, Receiver};
use crate::config::{ProcessSettings, VideoCodec};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::Expectation;

const PATIENCE: Duration = Duration::from_secs(40);

const BOTH: &str = "testsrc2=size=320x240:rate=25[out0];sine=frequency=440[out1]";
const VIDEO_ONLY: &str = "testsrc2=size=320x240:rate=25";

/// Where a datagram arrived, and its bytes.
type Arrival = (Option<Media>, Vec<u8>);

struct Feeder(Sender<Arrival>);

impl Feed for Feeder {
    fn datagram(&mut self, port: Option<Media>, datagram: &[u8], _: Instant) {
        let _ = self.0.send((port, datagram.to_vec()));
    }

    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn expect(&mut self, _: Expectation) {}
}

/// An FFmpeg that sends into the legs of `settings`.
struct Sending {
    child: Child,
    arrivals: Channel<Arrival>,
    wire: Wire,
    _receiver: Receiver<Feeder>,
    _runtime: Runtime,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-y", "-loglevel", "error"])
        .stdout(Stdio::null());
    command
}

fn send(settings: &ProcessSettings, input: &[&str]) -> Sending {
    let pair = Ports::new(None).allocate().unwrap();
    let wire = Wire::draw(pair.port, None, SystemTime::now());
    let (sender, arrivals) = channel();
    let (receiver, task) =
        Receiver::new(pair, Feeder(sender), settings.single_port, Arc::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(task.run());
    let mut command = ffmpeg();
    command.args(input);
    for leg in legs(settings, &wire).unwrap() {
        command.args(leg.args);
    }
    Sending {
        child: command.spawn().expect("ffmpeg is installed"),
        arrivals,
        wire,
        _receiver: receiver,
        _runtime: runtime,
    }
}

fn lavfi(graph: &str) -> [&str; 5] {
    ["-re", "-f", "lavfi", "-i", graph]
}

/// What arrived until `enough` packets of every wanted payload type were there.
#[derive(Default)]
struct Tally {
    packets: HashMap<(Option<Media>, u8), usize>,
    arrivals: Vec<Arrival>,
}

impl Sending {
    fn tally(&mut self, wanted: &[(Option<Media>, u8)], enough: usize) -> Tally {
        let mut tally = Tally::default();
        let deadline = Instant::now() + PATIENCE;
        let complete = |tally: &Tally| {
            wanted
                .iter()
                .all(|key| tally.packets.get(key).is_some_and(|it| *it >= enough))
        };
        while !complete(&tally) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((port, bytes)) = self.arrivals.recv_timeout(left) else {
                panic!("too little arrived: {:?}", tally.packets);
            };
            // RFC 5761 §4: RTCP by its second byte.
            if !(192..=223).contains(&bytes[1]) {
                *tally.packets.entry((port, bytes[1] & 0x7f)).or_default() += 1;
            }
            tally.arrivals.push((port, bytes));
        }
        assert!(self.child.try_wait().unwrap().is_none(), "FFmpeg ended");
        tally
    }

    fn video(&self) -> (Option<Media>, u8) {
        (Some(Media::Video), self.wire.video_payload_type)
    }

    fn audio(&self) -> (Option<Media>, u8) {
        (Some(Media::Audio), self.wire.audio_payload_type)
    }

    /// Both legs get their own medium, and nothing but it.
    fn expect_both(mut self, enough: usize) -> Tally {
        let wanted = [self.video(), self.audio()];
        let tally = self.tally(&wanted, enough);
        assert_eq!(tally.packets.len(), 2, "{:?}", tally.packets);
        tally
    }
}

impl Tally {
    fn of(&self, medium: Media) -> impl Iterator<Item = &[u8]> {
        self.arrivals
            .iter()
            .filter(move |(port, _)| *port == Some(medium))
            .map(|(_, bytes)| bytes.as_slice())
    }

    /// Whether a video packet carries a VPS, alone or first in an aggregation packet (RFC 7798 §4.4.2).
    fn h265_parameter_sets(&self) -> bool {
        let kind = |byte: u8| byte >> 1 & 0x3f;
        self.of(Media::Video)
            .filter(|it| !(192..=223).contains(&it[1]))
            .any(|it| kind(it[12]) == 32 || (kind(it[12]) == 48 && kind(it[16]) == 32))
    }

    /// Video packets that carry, or begin, a NAL unit of this type (RFC 6184 §5).
    fn h264_nals(&self, kind: u8) -> usize {
        let rtp = self
            .of(Media::Video)
            .filter(|it| !(192..=223).contains(&it[1]));
        rtp.filter(|packet| match packet[12] & 0x1f {
            24 => aggregated(&packet[13..]).contains(&kind),
            28 => packet[13] & 0x9f == 0x80 | kind,
            single => single == kind,
        })
        .count()
    }
}

/// The NAL unit types of a STAP-A (RFC 6184 §5.7.1).
fn aggregated(mut rest: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while rest.len() > 2 {
        let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        kinds.push(rest[2] & 0x1f);
        rest = &rest[2 + len..];
    }
    kinds
}

fn encode(codec: Codec) -> ProcessSettings {
    ProcessSettings {
        video_codec: VideoCodec::Encode(codec),
        ..ProcessSettings::default()
    }
}

fn copy(source_codec: Codec) -> ProcessSettings {
    ProcessSettings {
        video_codec: VideoCodec::Copy,
        source_codec,
        ..ProcessSettings::default()
    }
}

/// A file longer than a test. FFmpeg 5.1 can't loop one that is copied through a bit-stream filter: at the loop's end it
/// tells the filter that the stream ended.
fn file(name: &str, arguments: &[&str]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("corertc-leg-{}-{name}", std::process::id()));
    let status = ffmpeg()
        .args(["-f", "lavfi", "-t", "30", "-i", BOTH])
        .args(arguments)
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn played(path: &Path) -> Vec<&str> {
    vec!["-re", "-i", path.to_str().unwrap()]
}

#[test]
fn the_default_legs_get_h264_and_opus_within_the_packet_size() {
    let tally = send(&ProcessSettings::default(), &lavfi(BOTH)).expect_both(60);
    assert!(tally.arrivals.iter().all(|(_, bytes)| bytes.len() <= 1200));
    assert!(tally.h264_nals(7) > 0, "parameter sets are in band");
}

#[test]
fn sender_reports_come_on_the_legs_own_port_and_agree_on_the_start_time() {
    let sending = send(&ProcessSettings::default(), &lavfi(BOTH));
    let start_us = sending.wire.start_time_us;
    let tally = sending.expect_both(30);
    for (medium, rate) in [(Media::Video, 90_000.0), (Media::Audio, 48_000.0)] {
        let report = tally.of(medium).find(|it| it[1] == 200).expect("an SR");
        let rtp = tally.of(medium).find(|it| it[1] != 200).expect("RTP");
        let word =
            |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        // RFC 3550 §6.4.1: NTP seconds since 1900.
        let ntp = f64::from(word(report, 8)) - 2_208_988_800.0
            + f64::from(word(report, 12)) / f64::from(u32::MAX);
        #[allow(clippy::cast_precision_loss, reason = "microseconds of this century")]
        let since_start = ntp - start_us as f64 / 1e6;
        let ahead = word(rtp, 4).wrapping_sub(word(report, 16)).cast_signed();
        let media_time = since_start + f64::from(ahead) / rate;
        assert!(
            (-0.5..1.0).contains(&media_time),
            "{medium:?} starts at {media_time}"
        );
    }
}

#[test]
fn vp8_and_vp9_and_h265_encoders_run_as_told() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H265] {
        send(&encode(codec), &lavfi(BOTH)).expect_both(20);
    }
}

#[test]
fn single_port_carries_both_media_on_v() {
    let settings = ProcessSettings {
        single_port: true,
        ..ProcessSettings::default()
    };
    let mut sending = send(&settings, &lavfi(BOTH));
    let wanted = [
        (None, sending.wire.video_payload_type),
        (None, sending.wire.audio_payload_type),
    ];
    let tally = sending.tally(&wanted, 30);
    assert_eq!(tally.packets.len(), 2, "{:?}", tally.packets);
}

#[test]
fn a_video_only_source_runs_isolated_and_with_audio_off() {
    let isolated = ProcessSettings {
        isolate: true,
        ..ProcessSettings::default()
    };
    let silent = ProcessSettings {
        audio: false,
        ..ProcessSettings::default()
    };
    for settings in [isolated, silent] {
        let mut sending = send(&settings, &lavfi(VIDEO_ONLY));
        let video = sending.video();
        let tally = sending.tally(&[video], 60);
        assert_eq!(tally.packets.len(), 1, "{:?}", tally.packets);
    }
}

#[test]
fn an_audio_only_source_runs_isolated_encoded_or_copied() {
    for settings in [encode(Codec::H264), copy(Codec::H264)] {
        let settings = ProcessSettings {
            isolate: true,
            ..settings
        };
        let mut sending = send(&settings, &lavfi("sine=frequency=440"));
        let audio = sending.audio();
        let tally = sending.tally(&[audio], 60);
        assert_eq!(tally.packets.len(), 1, "{:?}", tally.packets);
    }
}

#[test]
fn isolated_legs_carry_both_media_of_every_codec() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9] {
        let settings = ProcessSettings {
            isolate: true,
            ..encode(codec)
        };
        send(&settings, &lavfi(BOTH)).expect_both(30);
    }
}

#[test]
fn h264_copied_from_flv_and_mp4_has_its_parameter_sets_at_every_key_frame() {
    let h264 = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -c:a aac";
    let arguments: Vec<&str> = h264.split(' ').collect();
    for name in ["copy.flv", "copy.mp4", "copy.ts"] {
        let path = file(name, &arguments);
        for isolate in [false, true] {
            let settings = ProcessSettings {
                isolate,
                ..copy(Codec::H264)
            };
            let tally = send(&settings, &played(&path)).expect_both(120);
            let (sets, key_frames) = (tally.h264_nals(7), tally.h264_nals(5));
            assert!(key_frames > 1, "{name}");
            assert_eq!(sets, key_frames, "{name}");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn h265_and_vp8_are_copied() {
    let forms = [
        (
            Codec::H265,
            "copy265.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a aac",
        ),
        (
            Codec::Vp8,
            "copy.webm",
            "-c:v libvpx -deadline realtime -c:a libopus",
        ),
    ];
    for (codec, name, arguments) in forms {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let path = file(name, &arguments);
        let tally = send(&copy(codec), &played(&path)).expect_both(40);
        if codec == Codec::H265 {
            assert!(tally.h265_parameter_sets(), "they are in band");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn key_frames_come_at_the_interval_even_if_timestamps_start_high() {
    let settings = ProcessSettings {
        keyframe_interval: Duration::from_millis(400),
        audio: false,
        ..ProcessSettings::default()
    };
    // 25 frames a second, timestamps from 1000 s on.
    let input = [
        &["-copyts"][..],
        &lavfi("testsrc2=size=320x240:rate=25,setpts=PTS+1000/TB"),
    ]
    .concat();
    let mut sending = send(&settings, &input);
    let video = sending.video();
    let tally = sending.tally(&[video], 400);
    let frames = tally
        .of(Media::Video)
        .filter(|it| it[1] & 0x80 != 0 && !(192..=223).contains(&it[1]))
        .count();
    let key_frames = tally.h264_nals(7);
    assert!(
        key_frames.abs_diff(frames / 10) <= 2,
        "{key_frames} key frames in {frames} frames"
    );
}

/// FFmpeg sends AV1 over RTP from version 8 on; older ones refuse to start, which ISOLATE survives.
#[test]
fn av1_is_sent_where_ffmpeg_can_and_survived_isolated_where_it_cannot() {
    let settings = ProcessSettings {
        isolate: true,
        ..encode(Codec::Av1)
    };
    let mut sending = send(&settings, &lavfi(BOTH));
    let audio = sending.audio();
    sending.tally(&[audio], 60);
}
