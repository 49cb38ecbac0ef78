//! The rig against a server that isn't ours: what it counts must be what was sent.

use std::process::Command;

use serde_json::Value;

fn figures(program: &str, arguments: &[&str]) -> Value {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .last()
        .unwrap_or_else(|| panic!("no figures: {errors}"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{errors}"))
}

fn send_path(server: &str, sample: &str) -> Value {
    let load = [
        "--servers",
        server,
        "--runs",
        "1",
        "--seconds",
        "1",
        "--viewers",
        "5",
        "--sample",
        sample,
    ];
    figures(env!("CARGO_BIN_EXE_send_path"), &load)["servers"][0].clone()
}

fn memory(setup: &str) -> Value {
    let arguments = [
        "--servers",
        "webrtc",
        "--runs",
        "1",
        "--viewers",
        "20",
        "--setup",
        setup,
    ];
    figures(env!("CARGO_BIN_EXE_memory"), &arguments)["servers"][0].clone()
}

#[test]
fn packets_dropped_in_the_kernel_are_counted_to_the_last_one() {
    let server = send_path("webrtc", "4");
    assert_eq!(server["worst_loss"], 0.0, "{server}");
    assert_eq!(server["runs"].as_array().map(Vec::len), Some(1), "{server}");
}

#[test]
fn packets_that_are_read_are_counted_and_authentic() {
    let server = send_path("webrtc", "1");
    assert_eq!(server["worst_loss"], 0.0, "{server}");
    assert_eq!(server["runs"].as_array().map(Vec::len), Some(1), "{server}");
}

#[test]
fn the_floor_is_a_server_whose_every_packet_arrives_and_is_authentic() {
    let server = send_path("floor", "1");
    assert_eq!(server["worst_loss"], 0.0, "{server}");
    assert_eq!(server["runs"].as_array().map(Vec::len), Some(1), "{server}");
}

#[test]
fn viewers_join_stay_while_idle_and_leave_no_descriptor() {
    let server = memory("actpass");
    assert_eq!(server["runs"], 1, "{server}");
    assert!(
        server["kib_per_viewer"].as_f64().unwrap_or(0.0) > 10.0,
        "{server}"
    );
    assert_eq!(server["fds_after_leaving"], 0.0, "{server}");
}

#[test]
fn viewers_join_in_either_dtls_role() {
    assert_eq!(memory("active")["viewers_as_dtls_client"], 20.0);
    // The crate's own choice where it has one.
    assert_eq!(memory("actpass")["viewers_as_dtls_client"], 0.0);
}

fn ingest(server: &str) -> Value {
    let load = [
        "--servers",
        server,
        "--runs",
        "1",
        "--seconds",
        "1",
        "--publishers",
        "2",
        "--spread-us",
        "0",
    ];
    figures(env!("CARGO_BIN_EXE_ingest"), &load)["servers"][0].clone()
}

#[test]
fn what_publishers_send_arrives_behind_every_server_and_its_latency_is_read() {
    for server in [
        "webrtc-whip",
        "corertc-udp",
        "corertc-rtsp",
        "corertc-direct",
    ] {
        let outcome = ingest(server);
        assert_eq!(
            outcome["runs"].as_array().map(Vec::len),
            Some(1),
            "{outcome}"
        );
        let (median, most) = (outcome["p50_ms"].as_f64(), outcome["max_ms"].as_f64());
        assert!(median > Some(0.0) && median <= most, "{outcome}");
    }
}
