//! An FFmpeg that publishes into an ingest point, an FFmpeg that reads the input's leg, and what its file holds.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

#[path = "../common/mod.rs"]
pub(crate) mod common;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use corertc::config::{InputTransport, ProcessSettings};
use corertc::leg::Leg;
use corertc::stream::IngestPoint;
use serde_json::Value;

pub(crate) use common::host::Host;

pub(crate) const BOTH_FORMS: [InputTransport; 2] = [InputTransport::Udp, InputTransport::Rtsp];

/// A host whose inputs are read in this form.
pub(crate) fn host(transport: InputTransport) -> Host {
    Host::with(|settings| settings.input_transport = transport)
}

/// An FFmpeg that publishes a picture and a tone, its packets given to the point as a peer would. Dropping it is a
/// publisher that vanishes.
pub(crate) struct Publisher {
    child: Child,
    stop: Arc<AtomicBool>,
    feeder: Option<JoinHandle<()>>,
}

/// Which media, and a key frame every so many frames of 30 a second.
#[derive(Clone, Copy)]
pub(crate) struct Publish {
    pub(crate) video: bool,
    pub(crate) audio: bool,
    pub(crate) gop: u32,
}

pub(crate) const PICTURE_AND_TONE: Publish = Publish {
    video: true,
    audio: true,
    gop: 30,
};

impl Publisher {
    pub(crate) fn start(host: &Host, id: &str, what: Publish) -> Self {
        let point = host.subsystem.ingests().unwrap().find(id).unwrap();
        point.new_publisher([what.video, what.audio], Vec::new());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let port = socket.local_addr().unwrap().port();
        let child = publish(port, what);
        let stop = Arc::new(AtomicBool::new(false));
        let feeder = std::thread::spawn({
            let stop = stop.clone();
            move || feed(&point, &socket, &stop)
        });
        Self {
            child,
            stop,
            feeder: Some(feeder),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.feeder.take().unwrap().join();
    }
}

fn feed(point: &IngestPoint, socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(len) = socket.recv(&mut buffer) {
            point.datagram(&buffer[..len], Instant::now());
        }
    }
}

/// The tone is not continuous: it beeps when the picture flashes, once a second, so that their skew can be read.
fn publish(port: u16, what: Publish) -> Child {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error"]);
    let address = format!("rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=1200");
    command.args([
        "-re",
        "-f",
        "lavfi",
        "-i",
        "color=black:size=320x180:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)'[out0];\
         aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000[out1]",
    ]);
    let start = "1700000000000000";
    let gop = what.gop.to_string();
    if what.video {
        command.args(["-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast"]);
        command.args(["-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt"]);
        command.args(["yuv420p", "-g", &gop, "-payload_type", "96"]);
        command.args(["-start_time_realtime", start, "-f", "rtp", &address]);
    }
    if what.audio {
        command.args(["-map", "0:a", "-c:a", "libopus", "-ac", "2", "-b:a", "64k"]);
        command.args(["-payload_type", "111", "-start_time_realtime", start]);
        command.args(["-f", "rtp", &address]);
    }
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.spawn().expect("ffmpeg is installed")
}

/// An FFmpeg that reads an input into a file.
pub(crate) struct Reading {
    pub(crate) child: Child,
    pub(crate) file: PathBuf,
}

impl Reading {
    /// `-c copy` into a file of this name's kind.
    pub(crate) fn start(legs: &[Leg], file: &Path) -> Self {
        Self::with("ffmpeg", legs, file)
    }

    pub(crate) fn with(ffmpeg: &str, legs: &[Leg], file: &Path) -> Self {
        let (address, options) = legs[0].args.split_last().unwrap();
        let child = Command::new(ffmpeg)
            .args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-y"])
            .args(options)
            .args(["-i", address, "-c", "copy", "-flush_packets", "1"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("ffmpeg is installed");
        Self {
            child,
            file: file.to_owned(),
        }
    }

    /// Waits until the file has so many bytes.
    pub(crate) fn wait_for_bytes(&mut self, bytes: u64) {
        let deadline = Instant::now() + common::PATIENCE;
        while std::fs::metadata(&self.file).map_or(0, |it| it.len()) < bytes {
            assert!(Instant::now() < deadline, "{:?} stays short", self.file);
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "FFmpeg ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end by itself; the exit status, and how long it took.
    pub(crate) fn ended(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < common::PATIENCE, "FFmpeg runs on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What ffprobe says of a file's packets.
pub(crate) struct Probe {
    pub(crate) streams: Vec<String>,
    /// (codec type, dts in seconds), in the order of the file.
    pub(crate) packets: Vec<(String, f64)>,
}

pub(crate) fn probe(file: &Path) -> Probe {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-of",
            "json",
            "-show_packets",
            "-show_streams",
        ])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("").to_owned();
    let packets = json["packets"].as_array().unwrap();
    Probe {
        streams: json["streams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| text(it, "codec_name"))
            .collect(),
        packets: packets
            .iter()
            .filter_map(|it| Some((text(it, "codec_type"), text(it, "dts_time").parse().ok()?)))
            .collect(),
    }
}

impl Probe {
    pub(crate) fn times(&self, kind: &str) -> Vec<f64> {
        let of_kind = self.packets.iter().filter(|it| it.0 == kind);
        of_kind.map(|it| it.1).collect()
    }

    /// Seconds from first to last.
    pub(crate) fn duration(&self, kind: &str) -> f64 {
        let times = self.times(kind);
        times.last().unwrap_or(&0.0) - times.first().unwrap_or(&0.0)
    }

    /// Longest step between two packets, seconds.
    pub(crate) fn longest_step(&self, kind: &str) -> f64 {
        let times = self.times(kind);
        times.windows(2).map(|it| it[1] - it[0]).fold(0.0, f64::max)
    }

    pub(crate) fn assert_monotonic(&self) {
        for kind in ["video", "audio"] {
            for pair in self.times(kind).windows(2) {
                assert!(pair[1] > pair[0], "{kind}: {pair:?}");
            }
        }
    }
}

/// When the picture flashes and when it beeps, seconds.
pub(crate) fn flashes_and_beeps(file: &Path) -> (Vec<f64>, Vec<f64>) {
    let run = |args: &[&str]| {
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-copyts", "-i"])
            .arg(file)
            .args(args)
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let after = |text: &str, mark: &str| -> Vec<f64> {
        text.split(mark)
            .skip(1)
            .filter_map(|it| {
                let end = it
                    .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                    .unwrap_or(it.len());
                it[..end].parse().ok()
            })
            .collect()
    };
    let black = run(&["-vf", "blackdetect=d=0.1:pix_th=0.5", "-an"]);
    let silence = run(&["-af", "silencedetect=n=-30dB:d=0.1", "-vn"]);
    (
        after(&black, "black_end:"),
        after(&silence, "silence_end: "),
    )
}

/// Seconds by which sound is behind the picture, each flash with its beep.
pub(crate) fn skews(file: &Path) -> Vec<f64> {
    let (flashes, beeps) = flashes_and_beeps(file);
    flashes
        .iter()
        .filter_map(|flash| {
            let beep = beeps
                .iter()
                .min_by(|a, b| (*a - flash).abs().total_cmp(&(*b - flash).abs()))?;
            Some(beep - flash).filter(|it| it.abs() < 0.5)
        })
        .collect()
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    file
}

/// The input of `id` in `stats_json`.
pub(crate) fn input_stats(host: &Host, id: &str) -> Value {
    let stats = host.stats();
    let inputs = stats["inputs"].as_array().unwrap();
    inputs.iter().find(|it| it["id"] == id).unwrap().clone()
}

pub(crate) fn start_input(host: &Host, id: &str, settings: &ProcessSettings) -> Vec<Leg> {
    host.subsystem.input_start(id, settings).unwrap()
}
