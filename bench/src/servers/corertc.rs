//! corertc as its hosts run it: one subsystem, one process with a video leg, its own listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use corertc::config::{ProcessSettings, Settings};
use corertc::subsystem::{Hooks, Subsystem};

use crate::host;

/// Listens on a port of the system's choice until the input ends.
pub fn serve() -> Result<(), String> {
    let said = |error: corertc::error::Error| error.to_string();
    let subsystem = Subsystem::new(settings(), hooks()).map_err(said)?;
    let process = ProcessSettings {
        audio: false,
        ..ProcessSettings::default()
    };
    let legs = subsystem.process_start("bench", &process).map_err(said)?;
    let leg = legs.first().ok_or("no leg")?;
    let port = subsystem
        .http_listen(&SocketAddr::new(super::address(), 0).to_string())
        .map_err(said)?;
    super::attend(
        &format!(
            "http://{}/whep/bench",
            SocketAddr::new(super::address(), port)
        ),
        leg.rtp_port,
        leg.payload_type,
    );
    subsystem.close(Duration::from_secs(2)).map_err(said)
}

/// Every option at its default, but for the address.
pub fn settings() -> Settings {
    let address = super::address();
    Settings {
        enable: true,
        announce: vec![address],
        udp_listen: vec![SocketAddr::new(address, 0)],
        path_prefix: String::new(),
        cors_origins: vec!["*".to_owned()],
        play_token: None,
        publish_token: None,
        tls: None,
        ice_servers: Vec::new(),
        turn_secret: None,
        turn_ttl: Duration::from_secs(86_400),
        leg_ports: None,
        workers: host::cores(),
        max_sessions: 0,
        max_viewers_per_stream: 0,
        http_timeout: Duration::from_secs(10),
        http_body_max: 131_072,
        auth_timeout: Duration::from_secs(4),
        setup_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
        gso: true,
        gop_cache_bytes: 16 << 20,
        gop_cache: Duration::from_secs(12),
        etag_strict: false,
        pages: true,
        whip_takeover: false,
        whip_direct: false,
        wait_for_stream: Duration::ZERO,
        stop_linger: Duration::ZERO,
        input_transport: corertc::config::InputTransport::Rtsp,
        public_url: None,
        https_only: false,
        raw_token: false,
        private_network: false,
        missing_media: Default::default(),
        address_rate_max: 0,
        max_half_open: 0,
        whip_codecs: Vec::new(),
    }
}

/// None set.
pub fn hooks() -> Hooks {
    Hooks {
        teardown: Arc::new(|_| {}),
        whip_teardown: Arc::new(|_| {}),
        auth: Arc::new(|_| None),
    }
}
