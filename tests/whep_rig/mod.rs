//! What the WHEP tests share: a subsystem, a process whose legs are fed like FFmpeg feeds them, requests, an offer.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod checks;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::config::{ProcessSettings, Settings, VideoCodec};
use corertc::rtp::codec::Codec;
use corertc::signal::auth::AuthHook;
use corertc::subsystem::{Hooks, Subsystem};
use http::{Request, Response};

pub(crate) const OFFER: &str = include_str!("../../src/sdp/testdata/chromium.sdp");

/// The documented defaults, with loopback announced.
pub(crate) fn settings() -> Settings {
    Settings {
        announce: vec!["127.0.0.1".parse().expect("an address")],
        udp_listen: vec!["127.0.0.1:0".parse().expect("an address")],
        workers: 1,
        ..Settings::default()
    }
}

pub(crate) fn subsystem(settings: Settings) -> Arc<Subsystem> {
    with_auth(settings, Arc::new(|_| None))
}

pub(crate) fn with_auth(settings: Settings, auth: AuthHook) -> Arc<Subsystem> {
    let hooks = Hooks {
        teardown: Arc::new(|_| {}),
        whip_teardown: Arc::new(|_| {}),
        auth,
    };
    Arc::new(Subsystem::new(settings, hooks).expect("a subsystem"))
}

/// Feeds a process's legs with VP8 key frames and Opus until dropped.
pub(crate) struct Feed {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a feeder");
        }
    }
}

/// Starts process `id` (VP8 and Opus) and feeds the kinds asked for.
pub(crate) fn fed(subsystem: &Subsystem, id: &str, video: bool, audio: bool) -> Feed {
    let process = ProcessSettings {
        video_codec: VideoCodec::Encode(Codec::Vp8),
        ..ProcessSettings::default()
    };
    let legs = subsystem.process_start(id, &process).expect("legs");
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for leg in legs {
        // kind 1 is video, 2 audio.
        let wanted = match leg.kind {
            1 => video,
            _ => audio,
        };
        if !wanted {
            continue;
        }
        let stop = Arc::clone(&stop);
        threads.push(std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let mut seq = 1000u16;
            while !stop.load(Ordering::Relaxed) {
                let packet = packet(leg.kind, leg.payload_type, seq);
                let _ = socket.send_to(&packet, ("127.0.0.1", leg.rtp_port));
                seq = seq.wrapping_add(1);
                std::thread::sleep(Duration::from_millis(20));
            }
        }));
    }
    Feed { stop, threads }
}

pub(crate) fn packet(kind: u32, payload_type: u8, seq: u16) -> Vec<u8> {
    let video = kind == 1;
    let step = if video { 1800 } else { 960 };
    let mut packet = vec![0x80, payload_type | if video { 0x80 } else { 0 }];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * step).to_be_bytes());
    packet.extend((0x1000 + kind).to_be_bytes());
    match video {
        // RFC 7741 §4.2: start of partition 0; then a key frame's header (RFC 6386 §9.1), 64x64.
        true => packet.extend([
            0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0, 0, 0, 0, 0,
        ]),
        // A 20 ms stereo CELT frame.
        false => packet.extend([0xfc, 0xff, 0xfe, 0x01, 0x02, 0x03]),
    }
    packet
}

/// One request through `http_handle`.
pub(crate) fn send(subsystem: &Subsystem, request: Request<Bytes>) -> Response<Bytes> {
    subsystem
        .http_handle(request, "192.0.2.9:1234", Duration::ZERO)
        .expect("an answer")
}

/// A POST of an offer to the endpoint of `id`, to be refined.
pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("Content-Type", "application/sdp")
}

/// POSTs Chromium's offer.
pub(crate) fn play(subsystem: &Subsystem, path: &str) -> Response<Bytes> {
    send(
        subsystem,
        post(path).body(Bytes::from(OFFER)).expect("a request"),
    )
}

/// Sends a request without body.
pub(crate) fn call(subsystem: &Subsystem, method: &str, path: &str) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(path);
    send(subsystem, request.body(Bytes::new()).expect("a request"))
}

/// POSTs until the stream plays: its first packets take a moment.
pub(crate) fn play_once_live(subsystem: &Subsystem, path: &str) -> Response<Bytes> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let response = play(subsystem, path);
        if response.status() == 201 || Instant::now() > deadline {
            assert_eq!(response.status(), 201, "{response:?}");
            return response;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A header's text, empty where there is none.
pub(crate) fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

/// Asserts an error answer: its status, and that it is problem+json which names `word` and is readable across origins.
pub(crate) fn assert_problem(response: &Response<Bytes>, status: u16, word: &str) {
    assert_eq!(response.status(), status, "{response:?}");
    assert_eq!(header(response, "content-type"), "application/problem+json");
    assert_eq!(header(response, "access-control-allow-origin"), "*");
    let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(body["status"], status);
    let detail = body["detail"].as_str().expect("a detail");
    assert!(detail.contains(word), "{detail}");
}
