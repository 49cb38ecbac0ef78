//! A session: one client's secret URL, its peer and its end. The registry finds, counts and expires them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::config::Settings;
use crate::events::Events;
use crate::fanout::Fanout;
use crate::peer::dtls::Identity;
use crate::sdp::offer::{Offer, SdpError};
use crate::stats::Counters;
use crate::stream::{Stream, StreamKey};

/// Why a session could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The offer can't be answered (400 or 422).
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// A limit of the configuration: 503 + Retry-After.
    #[error("{0}")]
    Limit(String),
    /// Closing or closed: 404.
    #[error("the server is closing")]
    Closing,
    /// The DTLS library refused: 503.
    #[error("{0}")]
    Internal(String),
}

/// A session just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Unguessable id of the session URL (128 bits or more, URL-safe).
    pub secret: String,
    /// The SDP answer.
    pub answer: String,
    /// Strong entity tag of the ICE session, without quotes (P050).
    pub etag: String,
}

/// What became of a session URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It lives.
    Live,
    /// It ended less than 30 s ago (P043).
    Ended,
    /// Never heard of, or long gone.
    Unknown,
}

/// What a client said of itself, for events and statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Address as text.
    pub remote_addr: String,
    /// `User-Agent`.
    pub user_agent: String,
}

/// A session's numbers for `stats_json`.
#[derive(Debug, Clone, serde::Serialize)]
#[allow(missing_docs)]
pub struct SessionStats {
    /// The public id (never the secret).
    pub session: String,
    pub stream: String,
    pub direction: &'static str,
    pub remote_addr: String,
    pub user_agent: String,
    /// `new`, `checking`, `connected`.
    pub state: &'static str,
    pub packets: u64,
    pub bytes: u64,
    pub frames_dropped: u64,
    /// Fraction lost of the last receiver report, percent.
    pub loss_percent: Option<f64>,
    pub rtt_ms: Option<f64>,
    pub seconds: f64,
}

/// All sessions of a subsystem. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {}

impl Sessions {
    /// An empty registry whose sessions run on `runtime`.
    #[must_use]
    pub fn new(
        runtime: Handle,
        fanout: Fanout,
        identity: Identity,
        settings: Arc<Settings>,
        counters: Arc<Counters>,
        events: Events,
    ) -> Self {
        let _ = (runtime, fanout, identity, settings, counters, events);
        todo!("built by the founder")
    }

    /// Makes a viewer's session: answer written, peer registered with its shard, setup deadline running.
    pub fn play(
        &self,
        stream: &Arc<Stream>,
        offer: &Offer,
        client: Client,
    ) -> Result<Created, SessionError> {
        let _ = (stream, offer, client);
        todo!()
    }

    /// What became of a session URL.
    #[must_use]
    pub fn lookup(&self, secret: &str) -> Lookup {
        let _ = secret;
        todo!()
    }

    /// Ends a session by its secret; returns when its goodbye was sent. False where there is none.
    pub async fn delete(&self, secret: &str) -> bool {
        let _ = secret;
        todo!()
    }

    /// Ends a session by its public id (kick). False where there is none.
    pub fn close_public(&self, public: &str, reason: &'static str) -> bool {
        let _ = (public, reason);
        todo!()
    }

    /// Tells every viewer of a stream to leave (BYE, close_notify) and waits until that was sent, at most `timeout`.
    pub fn close_stream(&self, stream: StreamKey, reason: &'static str, timeout: Duration) {
        let _ = (stream, reason, timeout);
        todo!()
    }

    /// Viewers of a stream (any state).
    #[must_use]
    pub fn viewers_of(&self, stream: StreamKey) -> u64 {
        let _ = stream;
        todo!()
    }

    /// Sessions now.
    #[must_use]
    pub fn count(&self) -> u64 {
        todo!()
    }

    /// Every session's numbers.
    #[must_use]
    pub fn stats(&self) -> Vec<SessionStats> {
        todo!()
    }
}
