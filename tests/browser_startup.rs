//! How long a browser waits: from the POST to a connection, and to the first picture. A measurement: run by `make check-all`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::time::Duration;

use corertc::rtp::codec::Codec;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::one_at_a_time;
use common::site::Site;

const JOINS: usize = 21;

#[test]
#[ignore = "a measurement; it wants a quiet machine and a release build"]
fn a_browser_connects_within_60_ms_and_sees_a_frame_within_700_ms() {
    let _turn = one_at_a_time();
    let host = Host::start();
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let site = Site::start();
    let browser = Browser::on(&site);
    // The first one waits for FFmpeg, and for the browser to load what it decodes with.
    browser.watch("warm", &host.url("/whep/cam"));
    browser.sees_motion("warm");
    browser.leave("warm");

    let mut connected = Vec::new();
    let mut pictures = Vec::new();
    for join in 0..JOINS {
        // A viewer that comes when the last one saw its key frame always waits for a whole interval: spread them over it.
        std::thread::sleep(Duration::from_millis((join * 1000 / JOINS) as u64));
        let name = format!("join {join}");
        browser.watch(&name, &host.url("/whep/cam"));
        let seen = browser.until(&name, "a first frame", |seen| {
            seen.connected_ms.is_some() && seen.first_frame_ms.is_some()
        });
        connected.push(seen.connected_ms.unwrap());
        pictures.push(seen.first_frame_ms.unwrap());
        browser.leave(&name);
    }
    let (connected, picture) = (median(&mut connected), median(&mut pictures));
    println!(
        "POST to connected: {connected:.0} ms; POST to the first frame, a key frame each second: {picture:.0} ms \
         (medians of {JOINS}, Chromium on the same machine)"
    );
    assert!(connected < 60.0, "{connected} ms");
    assert!(picture < 700.0, "{picture} ms");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
