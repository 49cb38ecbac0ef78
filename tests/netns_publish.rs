//! Chromium publishes over a network that loses every twentieth packet and holds each up for up to 30 ms: what is lost is
//! asked for and comes again, and FFmpeg's file has one line for each medium, in step.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod input_rig;

use std::time::Duration;

use corertc::config::{InputTransport, ProcessSettings, VideoCodec};
use corertc::rtp::codec::Codec;
use serde_json::json;

use input_rig::common::browser::Browser;
use input_rig::common::host::Host;
use input_rig::common::netns::{Network, Towards};
use input_rig::common::one_at_a_time;
use input_rig::common::relay::Relay;
use input_rig::common::site::Site;
use input_rig::{Reading, input_stats, probe, scratch, skews, start_input};

const LOSS_PERCENT: u32 = 5;
const JITTER: Duration = Duration::from_millis(30);

fn is_repaired_and_recorded(codec: Codec, frames: u64) {
    let _turn = one_at_a_time();
    let Some(network) = Network::new() else {
        return;
    };
    let mut host = Host::with(|settings| {
        Relay::announce_at(network.server(), settings);
        settings.input_transport = InputTransport::Rtsp;
    });
    host.move_to(network.server());
    let relay = Relay::at(network.server(), &host);
    let settings = ProcessSettings {
        video_codec: VideoCodec::Encode(codec),
        ..ProcessSettings::default()
    };
    let legs = start_input(&host, "cam", &settings);
    let file = scratch(&format!("lossy-{codec:?}.mkv"));
    let mut reading = Reading::start(&legs, &file);
    let site = Site::start_in(network.clients());
    let browser = Browser::start_in(network.clients());
    browser.goto(&site.origin());
    let mime_type = format!("video/{}", codec.name());
    let options = json!({ "codec": mime_type, "flashing": true });
    let answer = browser.publish("pub", &host.url("/whip/cam"), options);
    assert_eq!(answer["status"], 201, "{answer}");
    browser.until_sent("pub", "it connects", |sent| sent.state == "connected");
    reading.wait_for_bytes(20_000);
    network.lose(Towards::Server, LOSS_PERCENT);
    relay.jitter(JITTER);
    let before = browser.sent("pub").frames_encoded;
    let sent = browser.until_sent("pub", "frames", |sent| {
        sent.frames_encoded >= before + frames
    });
    let lost = network.lost(Towards::Server);
    let names = ["nack_out", "publish_repaired", "publish_lost"];
    let counted = names.map(|name| host.counter(name));
    let seen = format!("{lost} lost, {names:?} {counted:?}: {sent:?}");
    println!("{seen}");
    let [asked, repaired, _] = counted;
    assert!(lost > 15 && asked > 5 && repaired > 5, "{seen}");
    assert!(sent.nack_count > 0 && sent.retransmitted > 5, "{seen}");
    assert_eq!(input_stats(&host, "cam")["ffmpeg"]["readings"], 1);
    browser.unpublish("pub", false);
    host.subsystem.input_stop("cam").unwrap();
    assert_eq!(reading.ended().0, Some(0));

    let probe = probe(&file);
    probe.assert_monotonic();
    let count = probe.times("video").len() as u64;
    let steps = ["video", "audio"].map(|kind| probe.longest_step(kind));
    let durations = ["video", "audio"].map(|kind| probe.duration(kind));
    let mut skews = skews(&file);
    skews.sort_by(f64::total_cmp);
    let file = format!(
        "{count} frames, longest steps {steps:?} s of {durations:?} s, sound behind by {skews:?} s"
    );
    println!("{file}");
    // Without repair every third frame or so would miss a packet.
    assert!(count * 100 >= sent.frames_encoded * 95, "{seen}; {file}");
    // Its encoder leaves out frames while it thinks little of the network; sound that is lost is not asked for.
    assert!(steps[0] < 1.0 && steps[1] < 0.25, "{file}");
    assert!((durations[0] - durations[1]).abs() < 0.5, "{file}");
    let median = skews[skews.len() / 2];
    assert!(skews.len() > 4 && median.abs() < 0.05, "{file}");
}

#[test]
fn vp8_is_repaired_and_recorded_without_a_jump() {
    is_repaired_and_recorded(Codec::Vp8, 250);
}

#[test]
#[ignore = "30 s: make check-all"]
fn h264_is_repaired_and_recorded_without_a_jump() {
    is_repaired_and_recorded(Codec::H264, 600);
}
