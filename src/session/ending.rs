//! The end of sessions, booked exactly once: of one by its own task, of all viewers of a stream together when it stops.
//! A thousand tasks that wake, say goodbye and report back one by one would keep the host waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
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
        book(&self.shared, std::slice::from_ref(&self.session), reason);
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

/// Tells every viewer of these streams and their publishers to leave (BYE, close_notify) and waits until that was sent, at most
/// `timeout`. Blocks: not for the control runtime's own threads.
pub(super) fn end_all(
    shared: &Shared,
    streams: &[Arc<Stream>],
    reason: &'static str,
    timeout: Duration,
) {
    let deadline = Instant::now() + timeout;
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
    let leaving = ours
        .iter()
        .filter_map(|session| Some((session.viewer.get()?.clone(), session.last_words())));
    let told = shared.fanout.remove_all(leaving);
    // Disconnected: all were told, or their shard is gone.
    let _ = told.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    for stream in streams {
        let of_it = |session: &&Arc<Session>| session.stream == stream.key();
        let viewers: Vec<_> = ours.iter().filter(of_it).cloned().collect();
        book(shared, &viewers, reason);
        // Their tasks find nothing left to do but to go.
        stream.announce_end();
    }
    if others.is_empty() {
        return;
    }
    let all_ended = async {
        for session in &others {
            session.ended().await;
        }
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // What did not end in time is ended by its own task a little later.
    let _ = shared
        .runtime
        .block_on(async { tokio::time::timeout(left, all_ended).await });
}

/// Registry, events, counters, and whoever waits for the end of sessions of one stream.
fn book(shared: &Shared, sessions: &[Arc<Session>], reason: &'static str) {
    let Some(first) = sessions.first() else {
        return;
    };
    shared.registry.remove(sessions, Instant::now());
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
