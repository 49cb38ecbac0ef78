//! Which streams exist: id → stream, shared by the hooks and by signalling.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Stream;

/// The streams of one subsystem by id. Cloning shares it.
#[derive(Clone, Default)]
pub struct Streams {
    by_id: Arc<RwLock<HashMap<String, Arc<Stream>>>>,
}

impl Streams {
    /// Registers a stream under its id; the one it replaces is given back.
    pub fn insert(&self, stream: Arc<Stream>) -> Option<Arc<Stream>> {
        self.write().insert(stream.id().to_owned(), stream)
    }

    /// Forgets a stream.
    pub fn remove(&self, id: &str) -> Option<Arc<Stream>> {
        self.write().remove(id)
    }

    /// The stream of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Stream>> {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// All streams, sorted by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Stream>> {
        let mut all: Vec<_> = self
            .by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Arc<Stream>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }
}
