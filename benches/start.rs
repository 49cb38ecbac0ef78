//! From createOffer to the first picture in Chromium, joining in the middle of a GOP of 10 s: with the pictures kept, and
//! without. `cargo bench --bench start [-- JOINS]`; prints medians and one line of JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use corertc::rtp::codec::Codec;
use serde_json::json;

use common::browser::{Browser, Report};
use common::ffmpeg::Ffmpeg;
use common::host::{Host, long_gop};
use common::site::Site;

const INPUT: &[&str] = &[
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc2=size=1280x720:rate=30",
    "-re",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440:sample_rate=48000",
];
/// What is watched of each join after its first picture.
const WATCHED: Duration = Duration::from_secs(4);

fn main() {
    let joins = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(20);
    measure("with the pictures kept", joins, Duration::from_secs(12));
    measure("without", joins.min(6), Duration::ZERO);
}

fn measure(name: &str, joins: usize, kept: Duration) {
    let host = Host::with(|settings| settings.gop_cache = kept);
    let mut settings = long_gop(Codec::H264);
    settings.video_bitrate_bps = 2_500_000;
    let legs = host.process_start("cam", &settings);
    let _ffmpeg = Ffmpeg::run(INPUT, &legs);
    host.after_seconds_of_media(2);
    let site = Site::start();
    let browser = Browser::on(&site);
    // The first connection of a browser's life starts its network service: it is not counted.
    join(&browser, &host, "warm-up");
    let reports: Vec<Report> = (0..joins)
        .map(|number| join(&browser, &host, &format!("v{number}")))
        .collect();
    let median = |value: &dyn Fn(&Report) -> f64| {
        let mut values: Vec<f64> = reports.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let figures = json!({
        "figure": "instant start, Chromium",
        "variant": name,
        "joins": joins,
        "offer_to_connected_ms": median(&|it| it.offer_ms + it.connected_ms.unwrap_or(f64::NAN)),
        "offer_to_first_frame_ms": median(&|it| it.offer_ms + it.first_frame_ms.unwrap_or(f64::NAN)),
        "worst_ms": reports.iter().map(|it| it.offer_ms + it.first_frame_ms.unwrap()).fold(0.0, f64::max),
        "freezes_median": median(&|it| it.freezes as f64),
        "joins_with_a_freeze": reports.iter().filter(|it| it.freezes > 0).count(),
        "lost": reports.iter().map(|it| it.video_lost).sum::<i64>(),
        "jitter_buffer_ms": median(&|it| it.coded_delay_ms.unwrap_or(f64::NAN)),
    });
    println!("{figures}");
}

/// Joins, watches for a while, leaves.
fn join(browser: &Browser, host: &Host, name: &str) -> Report {
    browser.watch(name, &host.url("/whep/cam"));
    browser.until(name, "a picture", |seen| seen.first_frame_ms.is_some());
    let began = Instant::now();
    let report = browser.until(name, "a while", |_| began.elapsed() >= WATCHED);
    browser.leave(name);
    report
}
