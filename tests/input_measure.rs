//! How fast FFmpeg reads an input in either form; prints the table of the README. Not a check: `cargo test --test
//! input_measure -- --ignored --nocapture`, with other FFmpegs in CORERTC_FFMPEGS (paths, colons between them).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod input_rig;

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use corertc::config::{InputTransport, ProcessSettings};
use corertc::leg::Leg;
use corertc::rtp::Media;
use corertc::stream::{FrameBatch, Sink, StreamKey};

use input_rig::{
    BOTH_FORMS, Host, PICTURE_AND_TONE, Publish, Publisher, host, scratch, start_input,
};

const RUNS: usize = 3;
/// As a publisher that answers every request for a key frame.
const WILLING: Publish = Publish {
    gop: 3,
    ..PICTURE_AND_TONE
};
const GOP_2_S: Publish = Publish {
    gop: 60,
    ..PICTURE_AND_TONE
};

/// Notes when the first key frame since the last look left the ingest.
#[derive(Default)]
struct Keyframes(Mutex<Option<Instant>>);

impl Sink for Keyframes {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        if batch.keyframe && batch.media == Media::Video {
            self.0.lock().unwrap().get_or_insert_with(Instant::now);
        }
    }
}

impl Keyframes {
    fn of(host: &Host) -> Arc<Self> {
        let keyframes = Arc::new(Self::default());
        let point = host.subsystem.ingests().unwrap().find("cam").unwrap();
        point.stream().attach(keyframes.clone());
        keyframes
    }

    fn first(&self) -> Instant {
        loop {
            if let Some(at) = *self.0.lock().unwrap() {
                return at;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// One line per packet in a file; stream 0 is video.
struct Reader {
    child: Child,
    file: std::path::PathBuf,
}

impl Reader {
    fn start(ffmpeg: &str, legs: &[Leg]) -> Self {
        let file = scratch("measure.crc");
        let (address, options) = legs[0].args.split_last().unwrap();
        let child = Command::new(ffmpeg)
            .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
            .args(options)
            .args([
                "-i",
                address,
                "-c",
                "copy",
                "-flush_packets",
                "1",
                "-f",
                "framecrc",
            ])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, file }
    }

    fn pictures(&self) -> usize {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter(|it| it.starts_with("0,")).count()
    }

    fn wait_for_pictures(&self, more_than: usize) -> Instant {
        let begin = Instant::now();
        while self.pictures() <= more_than {
            assert!(begin.elapsed() < Duration::from_secs(40), "no picture");
            std::thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    }

    /// Milliseconds from the call of input_stop to FFmpeg's end, and its status.
    fn stop(&mut self, host: &Host) -> (f64, f64, String) {
        let begin = Instant::now();
        host.subsystem.input_stop("cam").unwrap();
        let call = begin.elapsed();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status
                    .code()
                    .map_or("signal".to_owned(), |it| it.to_string());
            }
            if begin.elapsed() > Duration::from_secs(8) {
                let _ = self.child.kill();
                break "runs on".to_owned();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        (ms(call), ms(begin.elapsed()), status)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median.
fn runs(one: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = std::iter::repeat_with(one).take(RUNS).collect();
    all.sort_by(f64::total_cmp);
    all[RUNS / 2]
}

fn begin(form: InputTransport) -> (Host, Vec<Leg>) {
    let host = host(form);
    let legs = start_input(&host, "cam", &ProcessSettings::default());
    (host, legs)
}

fn ffmpeg_first(form: InputTransport, ffmpeg: &str, what: Publish) -> f64 {
    let (host, legs) = begin(form);
    let reader = Reader::start(ffmpeg, &legs);
    std::thread::sleep(Duration::from_secs(1));
    let keyframes = Keyframes::of(&host);
    let _publisher = Publisher::start(&host, "cam", what);
    let first = keyframes.first();
    ms(reader.wait_for_pictures(0) - first)
}

fn publisher_first(form: InputTransport, ffmpeg: &str) -> f64 {
    let (host, legs) = begin(form);
    let keyframes = Keyframes::of(&host);
    let _publisher = Publisher::start(&host, "cam", WILLING);
    keyframes.first();
    std::thread::sleep(Duration::from_secs(1));
    let begin = Instant::now();
    let reader = Reader::start(ffmpeg, &legs);
    ms(reader.wait_for_pictures(0) - begin)
}

fn returns(form: InputTransport, ffmpeg: &str) -> f64 {
    let (host, legs) = begin(form);
    let reader = Reader::start(ffmpeg, &legs);
    drop({
        let publisher = Publisher::start(&host, "cam", GOP_2_S);
        reader.wait_for_pictures(30);
        publisher
    });
    std::thread::sleep(Duration::from_secs(2));
    let before = reader.pictures();
    let keyframes = Keyframes::of(&host);
    let _publisher = Publisher::start(&host, "cam", GOP_2_S);
    let first = keyframes.first();
    ms(reader.wait_for_pictures(before) - first)
}

/// FFmpeg gets SIGTERM while its publisher is away, and nobody calls input_stop.
fn signal_alone(form: InputTransport, ffmpeg: &str) -> String {
    let (host, legs) = begin(form);
    let mut reader = Reader::start(ffmpeg, &legs);
    drop({
        let silent = Publish {
            audio: false,
            ..GOP_2_S
        };
        let publisher = Publisher::start(&host, "cam", silent);
        reader.wait_for_pictures(10);
        publisher
    });
    let pid = reader.child.id().to_string();
    let begin = Instant::now();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    while begin.elapsed() < Duration::from_secs(6) {
        if let Some(status) = reader.child.try_wait().unwrap() {
            return format!("{:.0} ms, {:?}", ms(begin.elapsed()), status.code());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    "runs on".to_owned()
}

/// How much of 10 s at 1080p and 20 Mbit/s, key frames of 400 kB, comes out of FFmpeg, and frames that we dropped.
fn large_frames(form: InputTransport, ffmpeg: &str, buffer: &str) -> String {
    let film = large_film();
    let (host, legs) = begin(form);
    let (address, options) = legs[0].args.split_last().unwrap();
    let packets = scratch("large.crc");
    let mut child = Command::new(ffmpeg)
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(
            options
                .iter()
                .map(|it| if it == "4194304" { buffer } else { it }),
        )
        .args(["-i", address, "-c", "copy", "-f", "framecrc"])
        .arg(&packets)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let point = host.subsystem.ingests().unwrap().find("cam").unwrap();
    let begin = Instant::now();
    let mut seq = 0_u16;
    for (n, frame) in film.iter().enumerate() {
        let due = begin + Duration::from_micros(n as u64 * 33_333);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for (index, payload) in frame.iter().enumerate() {
            let mut packet = vec![0x80, 96 | u8::from(index + 1 == frame.len()) << 7];
            packet.extend(seq.to_be_bytes());
            packet.extend((n as u32 * 3000).to_be_bytes());
            packet.extend([0, 0, 0, 9]);
            packet.extend(payload);
            seq = seq.wrapping_add(1);
            point.datagram(&packet, Instant::now());
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    let stats = input_rig::input_stats(&host, "cam");
    host.subsystem.input_stop("cam").unwrap();
    let _ = child.wait();
    let sizes = std::fs::read_to_string(&packets).unwrap();
    let got: usize = sizes
        .lines()
        .filter(|it| it.starts_with("0,"))
        .filter_map(|it| it.split(',').nth(4)?.trim().parse::<usize>().ok())
        .sum();
    let sent: usize = film.iter().flatten().map(Vec::len).sum();
    format!(
        "{:.1} % arrived, {} frames dropped",
        got as f64 * 100.0 / sent as f64,
        stats["ffmpeg"]["frames_dropped"]
    )
}

/// Frames as payloads (RFC 6184: whole units, and FU-A for long ones).
fn large_film() -> Vec<Vec<Vec<u8>>> {
    let file = std::env::temp_dir().join("corertc-large.h264");
    if !file.exists() {
        input_rig::common::ffmpeg::make_file(&[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=1920x1080:rate=30,noise=alls=30:allf=t",
            "-t",
            "10",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-profile:v",
            "baseline",
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            "slices=1:sliced-threads=0",
            "-b:v",
            "20M",
            "-maxrate",
            "20M",
            "-bufsize",
            "20M",
            "-g",
            "60",
            "-bsf:v",
            "h264_metadata=aud=insert",
            file.to_str().unwrap(),
        ]);
    }
    let bytes = std::fs::read(&file).unwrap();
    let mut starts = Vec::new();
    starts.extend((0..bytes.len() - 3).filter(|at| bytes[*at..at + 3] == [0, 0, 1]));
    starts.push(bytes.len());
    let mut film: Vec<Vec<Vec<u8>>> = Vec::new();
    for pair in starts.windows(2) {
        let mut unit = &bytes[pair[0] + 3..pair[1]];
        while let [rest @ .., 0] = unit {
            unit = rest;
        }
        match unit[0] & 0x1f {
            9 => film.push(Vec::new()),
            kind if unit.len() > 1200 => {
                let chunks: Vec<&[u8]> = unit[1..].chunks(1186).collect();
                for (index, chunk) in chunks.iter().enumerate() {
                    let first = u8::from(index == 0) << 7;
                    let last = u8::from(index + 1 == chunks.len()) << 6;
                    let mut payload = vec![unit[0] & 0x60 | 28, first | last | kind];
                    payload.extend_from_slice(chunk);
                    film.last_mut().unwrap().push(payload);
                }
            }
            _ => film.last_mut().unwrap().push(unit.to_vec()),
        }
    }
    film
}

fn stops(form: InputTransport, ffmpeg: &str) -> [(f64, f64, String); 3] {
    let live = {
        let (host, legs) = begin(form);
        let mut reader = Reader::start(ffmpeg, &legs);
        let _publisher = Publisher::start(&host, "cam", GOP_2_S);
        reader.wait_for_pictures(10);
        reader.stop(&host)
    };
    let left = {
        let (host, legs) = begin(form);
        let mut reader = Reader::start(ffmpeg, &legs);
        let publisher = Publisher::start(&host, "cam", GOP_2_S);
        reader.wait_for_pictures(10);
        drop(publisher);
        std::thread::sleep(Duration::from_secs(1));
        reader.stop(&host)
    };
    let never = {
        let (host, legs) = begin(form);
        let mut reader = Reader::start(ffmpeg, &legs);
        std::thread::sleep(Duration::from_secs(1));
        reader.stop(&host)
    };
    [live, left, never]
}

#[test]
#[ignore = "a measurement"]
fn table() {
    let only_large = std::env::var_os("CORERTC_LARGE").is_some();
    let ffmpegs = std::env::var("CORERTC_FFMPEGS").unwrap_or_else(|_| "ffmpeg".to_owned());
    for ffmpeg in ffmpegs.split(':') {
        let version = Command::new(ffmpeg)
            .arg("-version")
            .output()
            .unwrap()
            .stdout;
        let version = String::from_utf8_lossy(&version);
        let version = version.split(' ').nth(2).unwrap_or("?").to_owned();
        for form in BOTH_FORMS {
            if only_large {
                println!(
                    "{version} {form:?}: {}",
                    large_frames(form, ffmpeg, "212992")
                );
                continue;
            }
            let before = runs(|| ffmpeg_first(form, ffmpeg, GOP_2_S));
            let silent = runs(|| {
                let silent = Publish {
                    audio: false,
                    ..GOP_2_S
                };
                ffmpeg_first(form, ffmpeg, silent)
            });
            let after = runs(|| publisher_first(form, ffmpeg));
            let returns = runs(|| returns(form, ffmpeg));
            let stops = stops(form, ffmpeg)
                .map(|(call, end, status)| format!("{call:.0}/{end:.0} ms, {status}"));
            let signal = signal_alone(form, ffmpeg);
            // What a kernel with its own defaults gives.
            let large = large_frames(form, ffmpeg, "212992");
            println!(
                "| {version} | {form:?} | {before:.0} | {silent:.0} | {after:.0} | {returns:.0} | {} | {signal} | {large} |",
                stops.join(" | ")
            );
        }
    }
}
