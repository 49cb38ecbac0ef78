//! GStreamer's webrtcbin: a publisher that FFmpeg records and a viewer that decodes, both with RSA certificates (C035).
#![allow(clippy::unwrap_used, missing_docs)]

mod input_rig;

use std::process::{Child, Command, Stdio};

use corertc::config::ProcessSettings;
use serde_json::Value;

use input_rig::common::one_at_a_time;
use input_rig::{Host, Reading, probe, scratch, start_input};

/// Debian's own Python, which has GStreamer's bindings.
fn peer(role: &str, url: &str, amount: &str) -> Child {
    Command::new("/usr/bin/python3")
        .args(["tests/gstreamer/peer.py", role, url, amount])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it saw, once it has ended well.
fn said(peer: Child) -> Value {
    let output = peer.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// C035, C036, C038, C040, C041, C045: webrtcbin is under all of GStreamer's clients and simple-whip-client.
#[test]
fn webrtcbin_publishes_to_ffmpeg_and_plays_what_another_one_sends() {
    let _turn = one_at_a_time();
    // C039: libnice leaves loopback out, so every interface is announced.
    let host = Host::with(|settings| settings.whip_direct = true);
    let legs = start_input(&host, "cam", &ProcessSettings::default());
    let file = scratch("gstreamer.mkv");
    let mut reading = Reading::start(&legs, &file);
    let publisher = peer("publish", &host.url("/whip/cam"), "6");
    let viewer = peer("play", &host.url("/whep/cam"), "60");
    let seen = said(viewer);
    for kind in ["audio", "video"] {
        assert!(seen["counts"][kind].as_u64() >= Some(60), "{seen}");
    }
    let sent = said(publisher);
    let states = sent["states"].as_array().unwrap();
    assert!(states.contains(&"connected".into()), "{sent}");
    assert_eq!(host.subsystem.now().3, 0, "its DELETE ended it");
    host.subsystem.input_stop("cam").unwrap();
    assert_eq!(reading.ended().0, Some(0));
    let probe = probe(&file);
    assert_eq!(probe.streams, ["h264", "opus"]);
    probe.assert_monotonic();
    assert!(probe.duration("video") > 3.0 && probe.duration("audio") > 3.0);
    assert_eq!(host.subsystem.counters().dtls_failed.value(), 0);
}
