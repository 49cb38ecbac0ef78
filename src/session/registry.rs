//! The sessions of a subsystem: found by secret, public id and stream; bounded; remembered a while after their end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::Session;
use super::{Lookup, SessionError};
use crate::stream::StreamKey;

/// How long an ended session's URL is told apart from one that never was (P043).
const TOMBSTONE: Duration = Duration::from_secs(30);
/// Tombstones kept at most.
const TOMBSTONES_MAX: usize = 65_536;

pub(super) struct Registry {
    tables: Mutex<Tables>,
    limits: Limits,
}

/// Limits of the configuration; 0: none.
pub(super) struct Limits {
    pub(super) sessions: u64,
    pub(super) per_stream: u64,
    /// Sessions no connectivity check came for yet: whoever only POSTs fills no more than these (P012).
    pub(super) half_open: u64,
}

#[derive(Default)]
struct Tables {
    closed: bool,
    by_secret: HashMap<String, Arc<Session>>,
    by_public: HashMap<String, Arc<Session>>,
    /// Viewers.
    by_stream: HashMap<StreamKey, u64>,
    /// Public ids.
    half_open: HashSet<String>,
    publishers: HashMap<StreamKey, Arc<Session>>,
    tombstones: HashMap<String, Instant>,
    oldest: VecDeque<(Instant, String)>,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            tables: Mutex::default(),
            limits,
        }
    }

    /// Takes a session in, if the limits (0: none) allow.
    pub(super) fn insert(&self, session: Arc<Session>) -> Result<(), SessionError> {
        let mut tables = self.lock();
        if tables.closed {
            return Err(SessionError::Closing);
        }
        let reached = |limit: u64, now: u64| limit != 0 && now >= limit;
        if reached(self.limits.sessions, tables.by_secret.len() as u64) {
            let limit = self.limits.sessions;
            return Err(SessionError::Limit(format!(
                "all {limit} sessions are taken (MAX_SESSIONS)"
            )));
        }
        if reached(self.limits.half_open, tables.half_open.len() as u64) {
            let limit = self.limits.half_open;
            return Err(SessionError::Limit(format!(
                "{limit} sessions wait for their first connectivity check (MAX_HALF_OPEN)"
            )));
        }
        if session.publishes {
            if tables.publishers.contains_key(&session.stream) {
                return Err(SessionError::Busy);
            }
            tables.publishers.insert(session.stream, session.clone());
        } else {
            tables.count_viewer(session.stream, self.limits.per_stream)?;
        }
        tables.half_open.insert(session.public.clone());
        tables
            .by_public
            .insert(session.public.clone(), session.clone());
        tables.by_secret.insert(session.secret.clone(), session);
        Ok(())
    }

    /// Forgets sessions, but for their tombstones.
    pub(super) fn remove(&self, sessions: &[Arc<Session>], now: Instant) {
        let mut tables = self.lock();
        for session in sessions {
            tables.remove(session, now);
        }
        tables.bury(now);
    }

    /// A check came for a session: it is no longer half open.
    pub(super) fn checked(&self, session: &Session) {
        self.lock().half_open.remove(&session.public);
    }

    pub(super) fn lookup(&self, secret: &str, now: Instant) -> Lookup {
        let mut tables = self.lock();
        if tables.by_secret.contains_key(secret) {
            return Lookup::Live;
        }
        tables.bury(now);
        if tables.tombstones.contains_key(secret) {
            Lookup::Ended
        } else {
            Lookup::Unknown
        }
    }

    pub(super) fn find(&self, secret: &str) -> Option<Arc<Session>> {
        self.lock().by_secret.get(secret).cloned()
    }

    pub(super) fn find_public(&self, public: &str) -> Option<Arc<Session>> {
        self.lock().by_public.get(public).cloned()
    }

    pub(super) fn of_stream(&self, stream: StreamKey) -> Vec<Arc<Session>> {
        let tables = self.lock();
        let of_it = |session: &&Arc<Session>| session.stream == stream;
        tables.by_secret.values().filter(of_it).cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().by_secret.values().cloned().collect()
    }

    pub(super) fn count_of(&self, stream: StreamKey) -> u64 {
        self.lock().by_stream.get(&stream).copied().unwrap_or(0)
    }

    /// The session that publishes to a stream.
    pub(super) fn publisher_of(&self, stream: StreamKey) -> Option<Arc<Session>> {
        self.lock().publishers.get(&stream).cloned()
    }

    /// Sessions that publish.
    pub(super) fn publishers(&self) -> u64 {
        self.lock().publishers.len() as u64
    }

    pub(super) fn count(&self) -> u64 {
        self.lock().by_secret.len() as u64
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn count_viewer(&mut self, stream: StreamKey, limit: u64) -> Result<(), SessionError> {
        let viewers = self.by_stream.entry(stream).or_default();
        if limit != 0 && *viewers >= limit {
            return Err(SessionError::Limit(format!(
                "the stream has all {limit} viewers (MAX_VIEWERS_PER_STREAM)"
            )));
        }
        *viewers += 1;
        Ok(())
    }

    fn remove(&mut self, session: &Session, now: Instant) {
        let Some((secret, _)) = self.by_secret.remove_entry(&session.secret) else {
            return;
        };
        self.by_public.remove(&session.public);
        self.half_open.remove(&session.public);
        if session.publishes {
            self.publishers.remove(&session.stream);
        } else if let Some(viewers) = self.by_stream.get_mut(&session.stream) {
            *viewers -= 1;
            if *viewers == 0 {
                self.by_stream.remove(&session.stream);
            }
        }
        self.oldest.push_back((now, secret.clone()));
        self.tombstones.insert(secret, now);
    }

    /// Drops the tombstones that are old enough, and the oldest of too many.
    fn bury(&mut self, now: Instant) {
        while let Some((died, secret)) = self.oldest.front() {
            let young = now.saturating_duration_since(*died) < TOMBSTONE;
            if young && self.oldest.len() <= TOMBSTONES_MAX {
                return;
            }
            self.tombstones.remove(secret);
            self.oldest.pop_front();
        }
    }
}
