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
        announce: vec![address],
        udp_listen: vec![SocketAddr::new(address, 0)],
        workers: host::cores(),
        max_half_open: 0,
        ..Settings::default()
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
