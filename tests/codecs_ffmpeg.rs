//! FFmpeg on both sides: what it sends of each codec, and another FFmpeg decodes of what leaves the stream for viewers.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use corertc::config::{ProcessSettings, VideoCodec};
use corertc::events::Events;
use corertc::leg::args::{Wire, legs};
use corertc::rtp::codec::Codec;
use corertc::rtp::header;
use corertc::stream::history::Limits;
use corertc::stream::{FrameBatch, Ingest, Sink, Stream, StreamKey};

use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE, make_file};
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

const FRAMES: usize = 60;

/// Sends every batch as RTP, as a viewer's packets without their encryption.
struct Relay {
    socket: UdpSocket,
    keyframes: Mutex<u64>,
}

impl Sink for Relay {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        *self.keyframes.lock().unwrap() += u64::from(batch.keyframe);
        for (seq, span) in (batch.first_seq..).zip(&batch.packets) {
            let mut head = [0; header::HEADER_LEN];
            header::write(&mut head, 96, span.marker, seq as u16, batch.timestamp, 7);
            let packet = [&head[..], batch.payload_of(span)].concat();
            let _ = self.socket.send(&packet);
        }
    }
}

/// An FFmpeg that decodes RTP of one codec and ends after [`FRAMES`] pictures.
fn decoder(scratch: &Scratch, codec: Codec) -> (Child, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // FFmpeg binds this port and the next.
    let port = (0..)
        .map(|_| {
            UdpSocket::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
                & !1
        })
        .find(|port| {
            [*port, port + 1]
                .iter()
                .all(|it| UdpSocket::bind(("127.0.0.1", *it)).is_ok())
        })
        .unwrap();
    let sdp = scratch.file("viewer.sdp");
    let text = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=video {port} RTP/AVP 96\r\na=rtpmap:96 {}/90000\r\n",
        codec.name()
    );
    std::fs::write(&sdp, text).unwrap();
    let child = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-nostdin",
            "-loglevel",
            "warning",
            "-protocol_whitelist",
            "file,udp,rtp",
        ])
        .args([
            "-localaddr",
            "127.0.0.1",
            "-listen_timeout",
            "30",
            "-i",
            &sdp,
        ])
        .args([
            "-frames:v",
            &FRAMES.to_string(),
            "-f",
            "framemd5",
            &scratch.file("pictures.md5"),
        ])
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg is installed");
    socket.connect(("127.0.0.1", port)).unwrap();
    eventually("the decoder listens", PATIENCE, || {
        match UdpSocket::bind(("127.0.0.1", port)) {
            Err(_) => Ok(()),
            Ok(_) => Err("its port is free".to_owned()),
        }
    });
    (child, socket)
}

/// Runs `input` through the video leg of `settings`; different pictures that the decoder got, and key frames that left.
fn decoded(settings: &ProcessSettings, input: &[&str]) -> (usize, u64) {
    let scratch = Scratch::new("codec");
    let leg = UdpSocket::bind("127.0.0.1:0").unwrap();
    leg.set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    let wire = Wire::draw(leg.local_addr().unwrap().port(), None, SystemTime::now());
    let kept = Limits {
        bytes: 0,
        time: Duration::ZERO,
    };
    let (stream, mut ingest) = Stream::new(
        "cam",
        StreamKey(1),
        wire.expectation(settings),
        kept,
        Arc::default(),
        Events::default(),
    );
    let (mut decoder, socket) = decoder(&scratch, settings.wire_codec());
    let relay = Arc::new(Relay {
        socket,
        keyframes: Mutex::default(),
    });
    stream.attach(relay.clone());
    let _ffmpeg = Ffmpeg::run(input, &legs(settings, &wire).unwrap());
    let deadline = Instant::now() + PATIENCE * 2;
    while decoder.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = decoder.kill();
            panic!("the decoder got too little: {:?}", stream.stats());
        }
        step(&leg, &mut ingest);
    }
    assert!(decoder.wait().unwrap().success());
    assert!(stream.warnings().is_empty(), "{:?}", stream.warnings());
    let pictures = std::fs::read_to_string(scratch.file("pictures.md5")).unwrap();
    let mut sums: Vec<&str> = pictures
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    sums.sort_unstable();
    sums.dedup();
    let keyframes = *relay.keyframes.lock().unwrap();
    (sums.len(), keyframes)
}

fn step(leg: &UdpSocket, ingest: &mut Ingest) {
    let mut datagram = [0; 2048];
    if let Ok(len) = leg.recv(&mut datagram) {
        ingest.datagram(None, &datagram[..len], Instant::now());
    }
    if ingest.next_timeout().is_some_and(|at| at <= Instant::now()) {
        ingest.handle_timeout(Instant::now());
    }
}

fn video(video_codec: VideoCodec) -> ProcessSettings {
    ProcessSettings {
        video_codec,
        audio: false,
        keyframe_interval: Duration::from_millis(500),
        video_bitrate_bps: 600_000,
        ..ProcessSettings::default()
    }
}

fn encoded_is_decoded(codec: Codec) {
    let _turn = one_at_a_time();
    let (pictures, keyframes) = decoded(&video(VideoCodec::Encode(codec)), PICTURE_AND_TONE);
    assert!(pictures >= FRAMES - 2, "{pictures} different pictures");
    assert!((2..30).contains(&keyframes), "{keyframes} key frames");
}

#[test]
fn h265_is_decoded() {
    encoded_is_decoded(Codec::H265);
}

#[test]
fn vp9_is_decoded_with_its_new_descriptor() {
    encoded_is_decoded(Codec::Vp9);
}

/// MP4 keeps the parameter sets out of band.
#[test]
fn h265_copied_from_a_file_is_decoded() {
    let _turn = one_at_a_time();
    let scratch = Scratch::new("h265");
    let file = scratch.file("clip.mp4");
    let mut args = PICTURE_AND_TONE.to_vec();
    args.retain(|arg| *arg != "-re");
    let encoder = "-map 0:v -t 20 -c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=0:keyint=15";
    args.extend(encoder.split(' '));
    args.push(&file);
    make_file(&args);
    let settings = ProcessSettings {
        source_codec: Codec::H265,
        ..video(VideoCodec::Copy)
    };
    let (pictures, keyframes) = decoded(&settings, &["-re", "-i", &file]);
    assert!(pictures >= FRAMES - 2, "{pictures} different pictures");
    assert!(keyframes >= 2, "{keyframes} key frames");
}
