//! The servers under test, each alone in its process: takes H.264 RTP on a UDP port of 127.0.0.1, answers WHEP
//! on the address after `--host`.
//!
//! What a server process says and hears, one JSON object a line: first `{"url", "rtp_port", "payload_type"}` on its
//! output (one that takes WHIP: `{"inputs"}`, a list of `{"whip"}` with `udp`, the first port it writes to, `rtsp`, a URL to
//! read from, or `whep`, one to watch), then for every line on its input `{"cpu_us", "rss_kib", "fds"}`; it ends with its input. A contender in
//! another language does the same (`contenders/`).

pub mod corertc;
mod corertc_whip;
mod floor;
mod webrtc;
mod webrtc_whip;

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::{child, host, report};

/// Runs the server `name` in this process until the input ends.
pub fn serve(name: &str) -> Result<(), String> {
    match name {
        "corertc" => corertc::serve(),
        "floor" => floor::serve(),
        "webrtc" => webrtc::serve(),
        "corertc-rtsp" => corertc_whip::serve(corertc_whip::Form::Rtsp),
        "corertc-udp" => corertc_whip::serve(corertc_whip::Form::Udp),
        "corertc-direct" => corertc_whip::serve(corertc_whip::Form::Direct),
        "corertc-browser" => corertc_whip::serve_browser(),
        "webrtc-whip" => webrtc_whip::serve(),
        other => Err(format!("no server named {other}")),
    }
}

/// Says where it listens, then answers what the input asks for until it ends.
fn attend(url: &str, rtp_port: u16, payload_type: u8) {
    child::say(&json!({"url": url, "rtp_port": rtp_port, "payload_type": payload_type}));
    child::answer_each(|_| figures());
}

/// The same of servers that take WHIP.
fn attend_inputs(inputs: &[Value]) {
    child::say(&json!({"inputs": inputs}));
    child::answer_each(|_| figures());
}

/// What `--inputs` gives: a first port to write to for each input, though a server may choose others.
fn ports() -> Vec<u16> {
    let given = report::argument("--inputs").unwrap_or_default();
    given.split(',').filter_map(|it| it.parse().ok()).collect()
}

/// Where to listen for viewers.
fn address() -> IpAddr {
    let given = report::argument("--host").and_then(|text| text.parse().ok());
    given.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn figures() -> Value {
    json!({"cpu_us": host::cpu_us(), "rss_kib": host::rss_kib(), "fds": host::open_fds()})
}
