//! The end of sessions, booked exactly once: of one by its own task, of all viewers of a stream together when it stops.
//! A thousand tasks that wake, say goodbye and report back one by one would keep the host waiting.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::Shared;
use super::publisher::Publishing;
use super::state::{CONNECTED, Session};
use crate::events::EventKind;
use crate::fanout::ViewerHandle;
use crate::stream::Stream;

/// Books the end of a task's session, a panic of the task included.
pub(super) struct End {
    shared: Arc<Shared>,
    session: Arc<Session>,
    viewer: ViewerHandle,
    publishing: Option<Publishing>,
    claimed: bool,
    done: bool,
}

impl End {
    pub(super) fn new(
        shared: &Arc<Shared>,
        session: &Arc<Session>,
        viewer: &ViewerHandle,
        publishing: Option<Publishing>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            session: session.clone(),
            viewer: viewer.clone(),
            publishing,
            claimed: false,
            done: false,
        }
    }

    /// False where somebody else ends the session.
    pub(super) fn claim(&mut self) -> bool {
        self.claimed = self.claimed || self.session.claim_end();
        self.claimed
    }

    /// Its goodbye was sent.
    pub(super) fn finish(&mut self, reason: &'static str) {
        self.done = true;
        if let Some(publishing) = self.publishing.take() {
            publishing.end(&self.shared.runtime);
        }
        let session = std::slice::from_ref(&self.session);
        self.shared.registry.remove(session, Instant::now());
        book(&self.shared, session, reason);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.done && self.claim() {
            drop(self.viewer.remove(Vec::new()));
            self.finish("error");
        }
    }
}

/// Viewers a shard parts with in one go.
const AT_ONCE: usize = 64;
/// A crowd is waited for only so long for each of them, from the beginning; its last ones are told a moment later.
const WAIT_PER_VIEWER: Duration = Duration::from_micros(8);
/// So many are no crowd.
const CROWD: usize = 128;
/// Tasks of a crowd's sessions have nothing left to do but to go, and all at once: not while others are still told.
const REST: Duration = Duration::from_millis(20);

/// Tells every viewer of these streams and their publishers to leave (BYE, close_notify) and waits until that was sent, at
/// most `timeout`, and for a crowd as long as a stop may take. Blocks: not for the control runtime's own threads.
pub(super) fn end_all(
    shared: &Arc<Shared>,
    streams: &[Arc<Stream>],
    reason: &'static str,
    timeout: Duration,
) {
    let began = Instant::now();
    let of = |stream: &Arc<Stream>| shared.registry.of_stream(stream.key());
    let sessions: Vec<_> = streams.iter().flat_map(of).collect();
    // A publisher leaves more behind than a viewer, a session that is being made has no peer yet, and who has no time to
    // wait has none to say goodbye: their tasks do it.
    let (ours, others): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|session| {
        let ready = !session.publishes && session.viewer.get().is_some() && !timeout.is_zero();
        ready && session.claim_end()
    });
    for session in &others {
        session.end(reason);
    }
    let count = ours.len();
    let all_told = tell(shared, ours, reason);
    let patience = match count {
        0..CROWD => timeout,
        _ => timeout.min(WAIT_PER_VIEWER * u32::try_from(count).unwrap_or(u32::MAX)),
    };
    let _ = all_told.recv_timeout((began + patience).saturating_duration_since(Instant::now()));
    if count < CROWD {
        streams.iter().for_each(|stream| stream.announce_end());
    } else {
        let streams = streams.to_vec();
        shared.runtime.spawn(async move {
            tokio::time::sleep(REST).await;
            streams.iter().for_each(|stream| stream.announce_end());
        });
    }
    if others.is_empty() {
        return;
    }
    let all_ended = async {
        for session in &others {
            session.ended().await;
        }
    };
    let left = (began + timeout).saturating_duration_since(Instant::now());
    // What did not end in time is ended by its own task a little later.
    let _ = shared
        .runtime
        .block_on(async { tokio::time::timeout(left, all_ended).await });
}

/// Sends the goodbyes of viewers; shards begin while last words of others are still made. What is returned disconnects
/// when all were told and booked.
fn tell(
    shared: &Arc<Shared>,
    sessions: Vec<Arc<Session>>,
    reason: &'static str,
) -> mpsc::Receiver<Infallible> {
    let (held, all_told) = mpsc::channel();
    // Each shard's own, a few at a time.
    let mut waiting: HashMap<usize, (Vec<_>, Vec<_>)> = HashMap::new();
    let send = |(leaving, sessions): (Vec<_>, Vec<Arc<Session>>)| {
        shared.registry.remove(&sessions, Instant::now());
        let booking = Booking {
            shared: shared.clone(),
            sessions,
            reason,
            _held: held.clone(),
        };
        shared.fanout.remove_some(leaving, move || drop(booking));
    };
    for session in sessions {
        let Some(viewer) = session.viewer.get().cloned() else {
            continue;
        };
        let shard = viewer.shard();
        let of_shard = waiting.entry(shard).or_default();
        of_shard.0.push((viewer, session.last_words()));
        of_shard.1.push(session);
        if of_shard.1.len() >= AT_ONCE {
            waiting.remove(&shard).into_iter().for_each(send);
        }
    }
    waiting.into_values().for_each(send);
    all_told
}

/// Books the end of sessions that the registry has forgotten when it is dropped: once they were told, or their shard is
/// gone.
struct Booking {
    shared: Arc<Shared>,
    sessions: Vec<Arc<Session>>,
    reason: &'static str,
    _held: mpsc::Sender<Infallible>,
}

impl Drop for Booking {
    fn drop(&mut self) {
        book(&self.shared, &self.sessions, self.reason);
    }
}

/// Events, counters, and whoever waits for the end of sessions of one stream.
fn book(shared: &Shared, sessions: &[Arc<Session>], reason: &'static str) {
    let Some(first) = sessions.first() else {
        return;
    };
    let connected = |session: &&Arc<Session>| session.state.load(Ordering::Relaxed) == CONNECTED;
    let kind = match first.publishes {
        true => EventKind::PublisherLeft,
        false => EventKind::ViewerLeft,
    };
    let details = sessions.iter().filter(connected).map(|session| {
        let mut detail = session.detail();
        detail["reason"] = reason.into();
        detail["bytes"] = session.numbers().bytes.into();
        detail["seconds"] = session.created.elapsed().as_secs_f64().into();
        detail
    });
    shared.events.push_all(kind, &first.stream_id, details);
    for session in sessions {
        if !connected(&session) {
            shared.counters.sessions_failed.inc();
        }
        session.alive.send_replace(false);
    }
}
