//! Layers of a simulcast publisher that somebody watches: each is an ingest point of its own beside the one FFmpeg reads.
//!
//! `signal` opens one ([`IngestPoint::layer`]); the publisher's shard sees by [`IngestPoint::layers_version`] that there
//! is something to follow, and feeds it. A layer that nobody plays any more is closed a little later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{IngestPoint, StreamKey};

/// A layer stays open so long without a viewer: whoever reloads a page finds its pictures.
const LINGER: Duration = Duration::from_secs(5);

/// Keys of layers, beyond those that a subsystem counts.
static NEXT_KEY: AtomicU64 = AtomicU64::new(1 << 62);

/// A layer that is open.
#[derive(Clone)]
pub struct Layer {
    /// Its restriction id (RFC 8851).
    pub rid: Arc<str>,
    /// Where its packets go, and the publisher's sound.
    pub point: Arc<IngestPoint>,
}

/// Why a layer can't be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLayer {
    /// Nobody publishes.
    NoPublisher,
    /// The publisher has these, and this one is not among them.
    Unknown(Vec<String>),
}

/// The layers of one ingest.
#[derive(Default)]
pub(super) struct Layers {
    table: Mutex<Table>,
    version: AtomicU64,
}

#[derive(Default)]
struct Table {
    /// Of the present publisher.
    rids: Option<Vec<String>>,
    open: Vec<(Layer, Option<Instant>)>,
    ended: bool,
}

impl IngestPoint {
    /// The point of the layer `rid` of the present publisher, which is fed from now on. Its stream lives as long as
    /// somebody holds it, and across publishers: one that has no such layer gives its best one.
    pub fn layer(self: &Arc<Self>, rid: &str) -> Result<Arc<Self>, NoLayer> {
        let mut table = self.layers.lock();
        match &table.rids {
            _ if table.ended => return Err(NoLayer::NoPublisher),
            None => return Err(NoLayer::NoPublisher),
            Some(rids) if rids.iter().any(|it| it == rid) => {}
            Some(rids) => return Err(NoLayer::Unknown(rids.clone())),
        }
        let known = table.open.iter_mut().find(|(it, _)| &*it.rid == rid);
        if let Some((layer, unused_since)) = known {
            *unused_since = None;
            return Ok(layer.point.clone());
        }
        let rid: Arc<str> = rid.into();
        let key = StreamKey(NEXT_KEY.fetch_add(1, Ordering::Relaxed));
        let point = self.open_layer(key, rid.clone());
        let layer = Layer {
            rid,
            point: point.clone(),
        };
        table.open.push((layer, None));
        self.layers.changed();
        Ok(point)
    }

    /// All that are open.
    #[must_use]
    pub fn open_layers(&self) -> Vec<Layer> {
        let table = self.layers.lock();
        table.open.iter().map(|(layer, _)| layer.clone()).collect()
    }

    /// Another number as soon as [`IngestPoint::open_layers`] gives others.
    #[must_use]
    pub fn layers_version(&self) -> u64 {
        self.layers.version.load(Ordering::Acquire)
    }

    /// Closes layers that nobody plays.
    pub fn close_unused_layers(&self, now: Instant) {
        let mut table = self.layers.lock();
        let before = table.open.len();
        table.open.retain_mut(|(layer, unused_since)| {
            if layer.point.is_held() {
                *unused_since = None;
                return true;
            }
            let since = *unused_since.get_or_insert(now);
            let keep = now.saturating_duration_since(since) < LINGER;
            if !keep {
                layer.point.end();
            }
            keep
        });
        if table.open.len() != before {
            self.layers.changed();
        }
    }

    /// What the present publisher has; None where there is none.
    pub(super) fn set_layers(&self, rids: Option<Vec<String>>) {
        self.layers.lock().rids = rids;
    }

    /// No layer is opened any more; those open end.
    pub(super) fn end_layers(&self) {
        let mut table = self.layers.lock();
        table.ended = true;
        for (layer, _) in &table.open {
            layer.point.end();
        }
    }
}

impl Layers {
    fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;
    use crate::stream::history::Limits;
    use crate::stream::{Expectation, StreamKey};

    fn point() -> Arc<IngestPoint> {
        let expectation = Expectation {
            video: None,
            audio: None,
            start_time_us: 0,
        };
        let kept = Limits {
            bytes: 1 << 20,
            time: Duration::from_secs(5),
        };
        let events = Events::default();
        IngestPoint::new(
            "cam",
            StreamKey(1),
            expectation,
            kept,
            Arc::default(),
            events,
        )
    }

    #[test]
    fn a_layer_is_there_while_its_publisher_has_it_and_anyone_plays_it() {
        let (point, mut now) = (point(), Instant::now());
        assert_eq!(point.layer("h").err(), Some(NoLayer::NoPublisher));
        point.new_publisher([true; 2], vec!["l".to_owned(), "h".to_owned()]);
        let there = vec!["l".to_owned(), "h".to_owned()];
        assert_eq!(point.layer("x").err(), Some(NoLayer::Unknown(there)));
        let version = point.layers_version();
        let stream = point.layer("h").expect("a layer").stream().clone();
        assert_ne!(point.layers_version(), version);
        let again = point.layer("h").expect("a layer").stream().clone();
        assert!(Arc::ptr_eq(&stream, &again), "one for all viewers");
        assert_eq!(stream.id(), "cam");
        drop(again);
        for _ in 0..2 {
            now += LINGER;
            point.close_unused_layers(now);
            assert_eq!(point.open_layers().len(), 1, "somebody plays it");
        }
        drop(stream);
        point.close_unused_layers(now);
        assert_eq!(point.open_layers().len(), 1, "not at once");
        let version = point.layers_version();
        point.close_unused_layers(now + LINGER);
        assert_eq!(point.open_layers().len(), 0);
        assert_ne!(point.layers_version(), version);
    }

    #[test]
    fn a_layer_ends_with_its_ingest() {
        let point = point();
        point.new_publisher([true; 2], vec!["h".to_owned()]);
        let layer = point.layer("h").expect("a layer");
        point.end();
        assert!(layer.stream().info().ended);
        assert!(point.layer("h").is_err());
    }
}
