//! FFmpeg's own WHIP muxer (8 and later) publishes: both DTLS roles, with and without a certificate of its own, killed and
//! back again.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corertc::rtp::Media;
use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::host::Host;
use common::kept::Kept;
use common::publish::ingest;
use common::site::Site;
use common::{PATIENCE, Scratch, eventually, one_at_a_time};

/// A publishing FFmpeg; killed where it is dropped.
struct Publisher(Child);

impl Publisher {
    fn start(url: &str, options: &[&str]) -> Self {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/target/whip-ffmpeg");
        let found = Command::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/whip-ffmpeg.sh"
        ))
        .arg(dir)
        .output()
        .unwrap();
        let ffmpeg = String::from_utf8(found.stdout).unwrap();
        let source =
            "-re -f lavfi -i testsrc2=size=640x360:rate=30 -re -f lavfi -i sine=sample_rate=48000";
        let encode = "-c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -bf 0 -g 30 -b:v 1M \
                      -pix_fmt yuv420p -c:a libopus -ac 2 -f whip";
        let child = Command::new(ffmpeg.trim())
            .args([
                "-hide_banner",
                "-nostdin",
                "-nostats",
                "-loglevel",
                "warning",
            ])
            .args(source.split_whitespace())
            .args(encode.split_whitespace())
            .args(options)
            .arg(url)
            .stdin(Stdio::null())
            .spawn()
            .expect("an FFmpeg with the WHIP muxer");
        Self(child)
    }

    /// SIGINT, after which it says DELETE.
    fn interrupt(&mut self) {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.0.wait().unwrap();
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.kill();
    }
}

fn gone(host: &Host) {
    eventually("the publisher left", PATIENCE, || {
        match host.subsystem.now().3 {
            0 => Ok(()),
            left => Err(format!("{left} publishers")),
        }
    });
}

fn publishes(options: &[&str]) {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.announce = vec!["127.0.0.1".parse().unwrap()]);
    let point = ingest(&host, "cam", Some(Codec::H264));
    let kept = Arc::new(Kept::default());
    point.stream().attach(kept.clone());
    let mut publisher = Publisher::start(&host.url("/whip/cam"), options);
    kept.grows(90);
    kept.is_one_line();
    assert_eq!(host.subsystem.counters().publish_lost.value(), 0);
    assert_eq!(host.subsystem.counters().publish_dropped.value(), 0);
    publisher.interrupt();
    gone(&host);
}

/// C020, C026, C032: its default is to be the DTLS server, with AES128_CM_SHA1_80 alone.
#[test]
fn ffmpeg_publishes_as_dtls_server() {
    publishes(&[]);
}

#[test]
fn ffmpeg_publishes_as_dtls_client() {
    publishes(&["-whip_flags", "dtls_active"]);
}

/// C027.
#[test]
fn ffmpeg_publishes_with_a_certificate_of_its_own() {
    let scratch = Scratch::new("whip-cert");
    let (cert, key) = (scratch.file("cert.pem"), scratch.file("key.pem"));
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
                .split(' '),
        )
        .args(["-out", &cert, "-keyout", &key])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let own = ["-cert_file", &cert, "-key_file", &key];
    publishes(&own);
    publishes(&[&own[..], &["-whip_flags", "dtls_active"]].concat());
}

/// C010, C030: neither OBS nor FFmpeg answers a request for a key frame, and the next one is ten seconds away.
#[test]
fn a_viewer_of_a_publisher_that_ignores_requests_begins_with_what_is_kept() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.whip_direct = true);
    let point = ingest(&host, "cam", Some(Codec::H264));
    let kept = Arc::new(Kept::default());
    point.stream().attach(kept.clone());
    let site = Site::start();
    let browser = Browser::on(&site);
    let _publisher = Publisher::start(&host.url("/whip/cam"), &["-g", "300"]);
    kept.grows(60);
    browser.watch("viewer", &host.url("/whep/cam"));
    browser.sees_motion("viewer");
    let frames = kept.of(Media::Video);
    let keyframes = frames.iter().filter(|frame| frame.4).count();
    assert_eq!(keyframes, 1, "of {} frames", frames.len());
}

/// A publisher that was killed says nothing: 3 s later whoever comes gets the ingest, and the line goes on.
#[test]
fn a_killed_publisher_comes_back_and_the_line_goes_on() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.announce = vec!["127.0.0.1".parse().unwrap()]);
    let point = ingest(&host, "cam", Some(Codec::H264));
    let kept = Arc::new(Kept::default());
    point.stream().attach(kept.clone());
    for _ in 0..3 {
        let mut publisher = Publisher::start(&host.url("/whip/cam"), &[]);
        let deadline = Instant::now() + PATIENCE;
        let before = kept.of(Media::Video).len();
        while kept.of(Media::Video).len() < before + 30 {
            assert!(Instant::now() < deadline, "it never came back");
            if matches!(publisher.0.try_wait(), Ok(Some(_))) {
                // Busy: a supervisor starts it again.
                publisher = Publisher::start(&host.url("/whip/cam"), &[]);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        kept.grows(30);
        publisher.kill();
    }
    kept.is_one_line();
    assert_eq!(point.stream().stats().restarts, 2);
}
