//! A session: one client's secret URL, its peer and its end. The registry finds, counts and expires them.
//!
//! A POST comes from `signal` to [`Sessions::play`] or [`Sessions::publish`], which answers the offer and starts the
//! session's task ([`viewer`], [`publisher`]). The task drives DTLS and ends the session; media never passes here.

pub(crate) mod allowance;
mod candidates;
mod draw;
mod ending;
mod ice;
mod publisher;
mod registry;
mod state;
mod viewer;
mod whole;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::config::Settings;
use crate::events::Events;
use crate::fanout::Fanout;
use crate::peer::LayerNumbers;
use crate::peer::dtls::Identity;
use crate::sdp::Fragment;
use crate::sdp::offer::{Offer, SdpError};
use crate::stats::Counters;
use crate::stream::{IngestPoint, Stream, StreamKey};

pub use ice::{IfMatch, PatchError, Patched};
use registry::{Limits, Registry};

/// Why a session could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The offer can't be answered (400 or 422).
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// A limit of the configuration: 503 + Retry-After.
    #[error("{0}")]
    Limit(String),
    /// Somebody else publishes there: 409 + Retry-After.
    #[error("the ingest has a publisher")]
    Busy,
    /// The stream or the whole server is closing: 404.
    #[error("the stream is closing")]
    Closing,
    /// The DTLS library or the random number generator refused: 503.
    #[error("{0}")]
    Internal(String),
}

/// A session just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Unguessable id of the session URL (192 bits, URL-safe).
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
    /// The simulcast layer that it asked for.
    pub rid: Option<String>,
}

/// A session's numbers for `stats_json`.
#[derive(Debug, Clone, serde::Serialize)]
#[allow(missing_docs)]
pub struct SessionStats {
    /// The public id (never the secret).
    pub session: String,
    pub stream: String,
    /// `play` or `publish`.
    pub direction: &'static str,
    /// Of the HTTP request.
    pub remote_addr: String,
    /// Where media goes.
    pub media_addr: Option<String>,
    pub user_agent: String,
    /// `new`, `checking`, `connected`.
    pub state: &'static str,
    pub packets: u64,
    pub bytes: u64,
    pub frames_dropped: u64,
    /// Fraction lost of the last receiver report, percent.
    pub loss_percent: Option<f64>,
    pub rtt_ms: Option<f64>,
    /// The bandwidth the viewer estimates (REMB).
    pub remb_bps: Option<u64>,
    /// What a player's transport-wide feedback says (TWCC).
    pub twcc: Option<Twcc>,
    /// The simulcast layer a player asked for.
    pub rid: Option<String>,
    /// A publisher's simulcast layers.
    pub layers: Vec<LayerNumbers>,
    pub seconds: f64,
}

/// What transport-wide feedback says of what a player is sent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Twcc {
    /// Packets that arrived.
    pub received: u64,
    /// Packets that did not.
    pub lost: u64,
    /// What arrives.
    pub bitrate_bps: Option<u64>,
    /// How much longer the last packets took than the fastest.
    pub queue_ms: Option<f64>,
}

/// All sessions of a subsystem. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Shared>,
}

/// What every session's task needs.
struct Shared {
    runtime: Handle,
    fanout: Fanout,
    identity: Identity,
    settings: Arc<Settings>,
    counters: Arc<Counters>,
    events: Events,
    registry: Registry,
}

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
        let registry = Registry::new(Limits {
            sessions: settings.max_sessions,
            per_stream: settings.max_viewers_per_stream,
            half_open: settings.max_half_open,
        });
        Self {
            inner: Arc::new(Shared {
                runtime,
                fanout,
                identity,
                settings,
                counters,
                events,
                registry,
            }),
        }
    }

    /// Makes a viewer's session: answer written, peer registered with its shard, setup deadline running.
    pub fn play(
        &self,
        stream: &Arc<Stream>,
        offer: &Offer,
        client: Client,
    ) -> Result<Created, SessionError> {
        viewer::start(&self.inner, stream, offer, client)
    }

    /// Makes a publisher's session on an ingest. Where somebody publishes already: [`SessionError::Busy`], unless takeover
    /// is configured or nothing came for 3 s: then that one leaves first.
    pub async fn publish(
        &self,
        point: &Arc<IngestPoint>,
        offer: &Offer,
        client: Client,
    ) -> Result<Created, SessionError> {
        publisher::start(&self.inner, point, offer, client).await
    }

    /// What became of a session URL.
    #[must_use]
    pub fn lookup(&self, secret: &str) -> Lookup {
        self.inner.registry.lookup(secret, Instant::now())
    }

    /// Ends a session by its secret; returns when its goodbye was sent. False where there is none.
    pub async fn delete(&self, secret: &str) -> bool {
        let Some(session) = self.inner.registry.find(secret) else {
            return false;
        };
        session.end("deleted");
        session.ended().await;
        true
    }

    /// Trickle or ICE restart (RFC 9725 §4.3), under ETAG_STRICT's policy. What is refused changes nothing (P073).
    pub async fn patch(
        &self,
        secret: &str,
        fragment: &Fragment,
        if_match: &IfMatch,
    ) -> Result<Patched, PatchError> {
        let session = self.inner.registry.find(secret).ok_or(PatchError::Gone)?;
        let strict = self.inner.settings.etag_strict;
        let (patched, restarted) = session.patch(fragment, if_match, strict, Instant::now())?;
        if let Some(restarted) = restarted {
            self.inner.counters.ice_restarts.inc();
            restarted.await;
        }
        Ok(patched)
    }

    /// Ends a session by its public id (kick). False where there is none.
    pub fn close_public(&self, public: &str, reason: &'static str) -> bool {
        self.inner
            .registry
            .find_public(public)
            .map(|session| session.end(reason))
            .is_some()
    }

    /// Tells every viewer of a stream and its publisher to leave (BYE, close_notify) and waits until that was sent, at most
    /// `timeout`; of a crowd the last ones may be told a moment later. Whoever waits for the stream's end is told after
    /// them. Blocks: not for the control runtime's own threads.
    pub fn close_stream(&self, stream: &Arc<Stream>, reason: &'static str, timeout: Duration) {
        self.close_streams(std::slice::from_ref(stream), reason, timeout);
    }

    /// [`Sessions::close_stream`] for several at once.
    pub fn close_streams(&self, streams: &[Arc<Stream>], reason: &'static str, timeout: Duration) {
        ending::end_all(&self.inner, streams, reason, timeout);
    }

    /// No further session is made: [`SessionError::Closing`].
    pub fn close(&self) {
        self.inner.registry.close();
    }

    /// Viewers of a stream (any state).
    #[must_use]
    pub fn viewers_of(&self, stream: StreamKey) -> u64 {
        self.inner.registry.count_of(stream)
    }

    /// Publishers now.
    #[must_use]
    pub fn publishers(&self) -> u64 {
        self.inner.registry.publishers()
    }

    /// Sessions now.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.registry.count()
    }

    /// Every session's numbers.
    #[must_use]
    pub fn stats(&self) -> Vec<SessionStats> {
        self.inner
            .registry
            .all()
            .iter()
            .map(|session| session.stats())
            .collect()
    }
}
