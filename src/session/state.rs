//! What others see of a session: its names, state, numbers, and the wish that it ends.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::draw::Drawn;
use super::ice::Ice;
use super::{Client, SessionStats, Twcc};
use crate::fanout::{ViewerHandle, ViewerNumbers};
use crate::peer::dtls::Connection;
use crate::stream::{Stream, StreamKey};

/// States of a session.
pub(super) const NEW: u8 = 0;
pub(super) const CHECKING: u8 = 1;
pub(super) const CONNECTED: u8 = 2;

/// What others see of a session.
pub(super) struct Session {
    pub(super) secret: String,
    pub(super) public: String,
    /// It publishes; else it plays.
    pub(super) publishes: bool,
    pub(super) stream: StreamKey,
    pub(super) stream_id: String,
    pub(super) ice: Mutex<Ice>,
    /// Driven by its task; whoever ends it takes the last words. Held for a call, never across a wait.
    dtls: Mutex<Connection>,
    /// Its peer, once the shard has it.
    pub(super) viewer: OnceLock<ViewerHandle>,
    pub(super) created: Instant,
    pub(super) state: AtomicU8,
    pub(super) numbers: Arc<Mutex<ViewerNumbers>>,
    pub(super) end_reason: OnceLock<&'static str>,
    pub(super) end_wanted: Notify,
    pub(super) alive: watch::Sender<bool>,
    /// Somebody ends it already.
    ending: AtomicBool,
    client: Client,
}

impl Session {
    /// A session that nobody has heard of yet.
    pub(super) fn new(
        drawn: &Drawn,
        stream: &Stream,
        publishes: bool,
        ice: Ice,
        dtls: Connection,
        client: Client,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            secret: drawn.secret.clone(),
            public: drawn.public.clone(),
            publishes,
            stream: stream.key(),
            stream_id: stream.id().to_owned(),
            ice: Mutex::new(ice),
            dtls: Mutex::new(dtls),
            viewer: OnceLock::new(),
            client,
            created: now,
            state: AtomicU8::new(NEW),
            numbers: Arc::default(),
            end_reason: OnceLock::new(),
            end_wanted: Notify::new(),
            alive: watch::Sender::new(true),
            ending: AtomicBool::new(false),
        })
    }

    /// Asks it to end; the first reason counts.
    pub(super) fn end(&self, reason: &'static str) {
        let _ = self.end_reason.set(reason);
        self.end_wanted.notify_one();
    }

    /// True for the one who ends it and books that.
    pub(super) fn claim_end(&self) -> bool {
        !self.ending.swap(true, Ordering::AcqRel)
    }

    /// Somebody has claimed its end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Its DTLS association.
    pub(super) fn dtls(&self) -> MutexGuard<'_, Connection> {
        self.dtls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the association: what it still wants sent.
    pub(super) fn last_words(&self) -> Vec<Vec<u8>> {
        let mut dtls = self.dtls();
        dtls.close();
        std::iter::from_fn(|| dtls.poll_transmit()).collect()
    }

    /// Resolves when its goodbye was sent.
    pub(super) async fn ended(&self) {
        // The sender lives in `self`, so waiting ends by the value alone.
        let _ = self.alive.subscribe().wait_for(|alive| !alive).await;
    }

    pub(super) fn stats(&self) -> SessionStats {
        let numbers = self.numbers();
        SessionStats {
            session: self.public.clone(),
            stream: self.stream_id.clone(),
            direction: if self.publishes { "publish" } else { "play" },
            remote_addr: self.client.remote_addr.clone(),
            media_addr: numbers.remote.map(|remote| remote.to_string()),
            user_agent: self.client.user_agent.clone(),
            state: ["new", "checking", "connected"]
                [usize::from(self.state.load(Ordering::Relaxed).min(2))],
            packets: numbers.packets,
            bytes: numbers.bytes,
            frames_dropped: numbers.frames_dropped,
            loss_percent: numbers.loss_percent,
            rtt_ms: numbers.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            remb_bps: numbers.remb_bps,
            twcc: numbers.transport.map(|seen| Twcc {
                received: seen.received,
                lost: seen.lost,
                bitrate_bps: seen.bitrate_bps,
                queue_ms: seen.queue.map(|queue| queue.as_secs_f64() * 1000.0),
            }),
            rid: self.client.rid.clone(),
            layers: numbers.layers,
            seconds: self.created.elapsed().as_secs_f64(),
        }
    }

    pub(super) fn numbers(&self) -> ViewerNumbers {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What every event of it carries (never the secret).
    pub(super) fn detail(&self) -> serde_json::Value {
        serde_json::json!({
            "session": self.public,
            "remote_addr": self.client.remote_addr,
            "user_agent": self.client.user_agent,
        })
    }
}
