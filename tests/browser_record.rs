//! Real Chromium publishes over WHIP, FFmpeg reads the input in either form: both media are in the file, whole and in step.
#![allow(clippy::unwrap_used, missing_docs)]

mod input_rig;

use corertc::config::{InputTransport, ProcessSettings, VideoCodec};
use corertc::rtp::codec::Codec;
use serde_json::json;

use input_rig::common::browser::Browser;
use input_rig::common::one_at_a_time;
use input_rig::common::site::Site;
use input_rig::{Reading, host, input_stats, probe, scratch, skews, start_input};

fn record(codec: Codec, mime_type: &str, form: InputTransport) {
    let _turn = one_at_a_time();
    let host = host(form);
    let settings = ProcessSettings {
        video_codec: VideoCodec::Encode(codec),
        ..ProcessSettings::default()
    };
    let legs = start_input(&host, "cam", &settings);
    let file = scratch(&format!("chromium-{codec:?}-{form:?}.mkv"));
    let mut reading = Reading::start(&legs, &file);
    let site = Site::start();
    let browser = Browser::on(&site);
    for name in ["first", "second"] {
        let before = std::fs::metadata(&file).map_or(0, |it| it.len());
        let answer = browser.publish(name, &host.url("/whip/cam"), json!({ "codec": mime_type }));
        assert_eq!(answer["status"], 201, "{answer}");
        browser.until_sent(name, "it connects", |sent| sent.state == "connected");
        reading.wait_for_bytes(before + 100_000);
        assert_eq!(browser.unpublish(name, false), 200);
    }
    assert_eq!(input_stats(&host, "cam")["ffmpeg"]["readings"], 1);
    host.subsystem.input_stop("cam").unwrap();
    assert_eq!(reading.ended().0, Some(0));
    assert_eq!(host.whip_torn_down(), ["cam"]);
    let probe = probe(&file);
    assert_eq!(
        probe.streams,
        [codec.name().to_ascii_lowercase(), "opus".to_owned()]
    );
    probe.assert_monotonic();
    let (video, audio) = (probe.duration("video"), probe.duration("audio"));
    assert!(
        video > 1.0 && (video - audio).abs() < 1.0,
        "{video} {audio}"
    );
}

#[test]
fn h264_over_rtsp() {
    record(Codec::H264, "video/H264", InputTransport::Rtsp);
}

#[test]
#[ignore = "the same with another codec: make check-all"]
fn h264_over_udp() {
    record(Codec::H264, "video/H264", InputTransport::Udp);
}

#[test]
#[ignore = "the same with another codec: make check-all"]
fn vp8_over_rtsp() {
    record(Codec::Vp8, "video/VP8", InputTransport::Rtsp);
}

#[test]
fn vp8_over_udp() {
    record(Codec::Vp8, "video/VP8", InputTransport::Udp);
}

#[test]
fn picture_and_sound_of_a_browser_are_in_step_in_the_file() {
    let _turn = one_at_a_time();
    let host = host(InputTransport::Rtsp);
    let legs = start_input(&host, "cam", &ProcessSettings::default());
    let file = scratch("chromium-skew.mkv");
    let mut reading = Reading::start(&legs, &file);
    let site = Site::start();
    let browser = Browser::on(&site);
    let options = json!({ "codec": "video/H264", "flashing": true });
    let answer = browser.publish("pub", &host.url("/whip/cam"), options);
    assert_eq!(answer["status"], 201, "{answer}");
    browser.until_sent("pub", "eight seconds of pictures", |sent| {
        sent.state == "connected" && sent.frames_encoded > 240
    });
    host.subsystem.input_stop("cam").unwrap();
    assert_eq!(reading.ended().0, Some(0));
    probe(&file).assert_monotonic();
    let skews = skews(&file);
    assert!(skews.len() >= 4, "{skews:?}");
    // The browser's own reports come up to a second after its first packets: until then sound and picture are placed by
    // arrival.
    let later = &skews[2..];
    assert!(later.iter().all(|it| it.abs() < 0.05), "{skews:?}");
}
