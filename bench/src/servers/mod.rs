//! The servers under test, each alone in its process: takes H.264 RTP on a UDP port of 127.0.0.1, answers WHEP
//! on the address after `--host`.
//!
//! What a server process says and hears, one JSON object a line: first `{"url", "rtp_port", "payload_type"}` on its
//! output, then for every line on its input `{"cpu_us", "rss_kib", "fds"}`; it ends with its input. A contender in
//! another language does the same (`contenders/`).

pub mod corertc;
mod floor;
mod webrtc;

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::{child, host, report};

/// Runs the server `name` in this process until the input ends.
pub fn serve(name: &str) -> Result<(), String> {
    match name {
        "corertc" => corertc::serve(),
        "floor" => floor::serve(),
        "webrtc" => webrtc::serve(),
        other => Err(format!("no server named {other}")),
    }
}

/// Says where it listens, then answers what the input asks for until it ends.
fn attend(url: &str, rtp_port: u16, payload_type: u8) {
    child::say(&json!({"url": url, "rtp_port": rtp_port, "payload_type": payload_type}));
    child::answer_each(|_| figures());
}

/// Where to listen for viewers.
fn address() -> IpAddr {
    let given = report::argument("--host").and_then(|text| text.parse().ok());
    given.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn figures() -> Value {
    json!({"cpu_us": host::cpu_us(), "rss_kib": host::rss_kib(), "fds": host::open_fds()})
}
