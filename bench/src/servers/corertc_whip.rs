//! corertc as its hosts run it for publishers: an input for each, read over RTSP or UDP in FFmpeg's place, or watched directly.

use std::net::SocketAddr;
use std::time::Duration;

use corertc::config::{InputTransport, ProcessSettings, Settings, VideoCodec};
use corertc::subsystem::Subsystem;
use serde_json::json;

use crate::child;

/// Where the media goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `INPUT_TRANSPORT` 1, the default.
    Rtsp,
    /// `INPUT_TRANSPORT` 0.
    Udp,
    /// `WHIP_DIRECT`, and nobody reads.
    Direct,
}

/// Listens on a port of the system's choice until the input ends.
pub fn serve(form: Form) -> Result<(), String> {
    let said = |error: corertc::error::Error| error.to_string();
    let settings = Settings {
        input_transport: match form {
            Form::Udp => InputTransport::Udp,
            Form::Rtsp | Form::Direct => InputTransport::Rtsp,
        },
        whip_direct: form == Form::Direct,
        ..super::corertc::settings()
    };
    let subsystem = Subsystem::new(settings, super::corertc::hooks()).map_err(said)?;
    let listen = SocketAddr::new(super::address(), 0).to_string();
    let port = subsystem.http_listen(&listen).map_err(said)?;
    let http = format!("http://{}", SocketAddr::new(super::address(), port));
    let mut inputs = Vec::new();
    for index in 0..super::ports().len() {
        let legs = subsystem.input_start(&format!("in{index}"), &ProcessSettings::default());
        let legs = legs.map_err(said)?;
        let leg = legs.first().ok_or("no leg")?;
        let whip = format!("{http}/whip/in{index}");
        inputs.push(match form {
            Form::Rtsp => json!({"whip": whip, "rtsp": leg.args.last()}),
            Form::Udp => json!({"whip": whip, "udp": leg.rtp_port}),
            Form::Direct => json!({"whip": whip, "whep": format!("{http}/whep/in{index}")}),
        });
    }
    super::attend_inputs(&inputs);
    subsystem.close(Duration::from_secs(2)).map_err(said)
}

/// For a browser: the input `clock`, watched directly, and the process `cam`, whose FFmpeg passes on what it reads.
pub fn serve_browser() -> Result<(), String> {
    let said = |error: corertc::error::Error| error.to_string();
    let settings = Settings {
        whip_direct: true,
        ..super::corertc::settings()
    };
    let subsystem = Subsystem::new(settings, super::corertc::hooks()).map_err(said)?;
    let started = subsystem.input_start("clock", &ProcessSettings::default());
    started.map_err(said)?;
    let copies = ProcessSettings {
        video_codec: VideoCodec::Copy,
        ..ProcessSettings::default()
    };
    let legs = subsystem.process_start("cam", &copies).map_err(said)?;
    let output: Vec<String> = legs.into_iter().flat_map(|leg| leg.args).collect();
    let listen = SocketAddr::new(super::address(), 0).to_string();
    let port = subsystem.http_listen(&listen).map_err(said)?;
    let http = format!("http://{}", SocketAddr::new(super::address(), port));
    child::say(&json!({
        "whip": format!("{http}/whip/clock"), "direct": format!("{http}/whep/clock"),
        "whep": format!("{http}/whep/cam"), "output": output,
    }));
    child::answer_each(|_| json!({}));
    subsystem.close(Duration::from_secs(2)).map_err(said)
}
