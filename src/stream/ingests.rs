//! Where publishers meet what reads them: an ingest point per input id, and the registry of all.
//!
//! A publisher's shard puts plain RTP and its sender reports into [`IngestPoint::datagram`]; the point's [`Stream`] hands
//! frames to its sinks, FFmpeg's leg and viewers alike. Wishes for key frames go the other way, to whoever publishes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use super::history::Limits;
use super::layers::Layers;
use super::{Expectation, Ingest, Stream, StreamKey};
use crate::events::Events;
use crate::rtp::Media;
use crate::stats::Counters;

/// A publisher is asked for a key frame this often at most: each costs it a multiple of its bitrate.
const KEYFRAME_EVERY: Duration = Duration::from_millis(500);

/// Asks a publisher for a key frame: of a simulcast layer, by its RID, else of what its ingest gets. Called from any
/// thread; must not block.
pub type KeyframeAsk = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// The ingest points of one subsystem by id. Cloning shares it.
#[derive(Clone, Default)]
pub struct Ingests {
    by_id: Arc<RwLock<HashMap<String, Arc<IngestPoint>>>>,
}

impl Ingests {
    /// Registers a point under its id; the one it replaces is given back.
    pub fn insert(&self, point: Arc<IngestPoint>) -> Option<Arc<IngestPoint>> {
        self.write().insert(point.id().to_owned(), point)
    }

    /// Forgets a point.
    pub fn remove(&self, id: &str) -> Option<Arc<IngestPoint>> {
        self.write().remove(id)
    }

    /// The point of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<IngestPoint>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.get(id).cloned()
    }

    /// All points, sorted by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<IngestPoint>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = by_id.values().cloned().collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.len()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<IngestPoint>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One ingest: what publishers are expected to send, and the stream it becomes. Lives from `input_start` to
/// `input_stop`, whatever publishers come and go.
pub struct IngestPoint {
    stream: Arc<Stream>,
    expectation: Expectation,
    /// Fed by one shard at a time: the lock is uncontended.
    way_in: Mutex<WayIn>,
    keyframes: Mutex<Keyframes>,
    kept: Limits,
    pub(super) layers: Layers,
}

struct WayIn {
    ingest: Ingest,
    heard: Option<Instant>,
    /// Nothing came of the present publisher yet.
    unheard: bool,
}

#[derive(Default)]
struct Keyframes {
    claims: u64,
    ask: Option<KeyframeAsk>,
    asked: Option<Instant>,
}

impl IngestPoint {
    /// A point without publisher. Its stream carries the payload types of `expectation`, which [`IngestPoint::datagram`]
    /// tells the media apart by; a start time in it is not used.
    #[must_use]
    pub fn new(
        id: &str,
        key: StreamKey,
        expectation: Expectation,
        kept: Limits,
        counters: Arc<Counters>,
        events: Events,
    ) -> Arc<Self> {
        let (stream, mut ingest) = Stream::new(id, key, expectation, kept, counters, events);
        ingest.follow_reports();
        let point = Arc::new(Self {
            stream,
            expectation,
            way_in: Mutex::new(WayIn {
                ingest,
                heard: None,
                unheard: false,
            }),
            keyframes: Mutex::default(),
            kept,
            layers: Layers::default(),
        });
        let weak: Weak<Self> = Arc::downgrade(&point);
        point.stream.on_keyframe_wanted(Box::new(move |now| {
            weak.upgrade()
                .is_some_and(|point| point.request_keyframe(now))
        }));
        point
    }

    /// The point of one layer. Only its viewers know of it: what happens to its stream is no event of the host's, and its
    /// packets are counted where they came in.
    pub(super) fn open_layer(self: &Arc<Self>, key: StreamKey, rid: Arc<str>) -> Arc<Self> {
        let (counters, events) = (Arc::default(), Events::default());
        let layer = Self::new(
            self.id(),
            key,
            self.expectation,
            self.kept,
            counters,
            events,
        );
        // What is known of one layer holds for the others: a viewer is answered at once.
        let info = self.stream.info();
        layer.stream.is_taken_on(info.expected.into());
        layer.stream.set_track(Media::Video, info.video);
        layer.stream.set_track(Media::Audio, info.audio);
        let parent = Arc::downgrade(self);
        layer.claim_keyframes(Arc::new(move |_| {
            let ask = parent
                .upgrade()
                .and_then(|it| it.lock_keyframes().ask.clone());
            if let Some(ask) = ask {
                ask(Some(&rid));
            }
        }));
        layer
    }

    /// The id the host gave.
    #[must_use]
    pub fn id(&self) -> &str {
        self.stream.id()
    }

    /// What it becomes.
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Codecs and payload types a publisher's packets must have here.
    #[must_use]
    pub fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    /// One plain RTP packet with a payload type of the expectation, or RTCP with the publisher's sender reports.
    pub fn datagram(&self, datagram: &[u8], now: Instant) {
        let mut way_in = self.lock();
        way_in.heard = Some(now);
        if std::mem::take(&mut way_in.unheard) {
            self.stream.begins(now);
        }
        way_in.ingest.datagram(None, datagram, now);
    }

    /// Part of a frame has come, the rest is on its way.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.lock().ingest.is_unfinished()
    }

    /// What has come of a frame is waited for no longer and leaves.
    pub fn flush(&self, now: Instant) {
        self.lock().ingest.flush(now);
    }

    /// When [`IngestPoint::poll`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.lock().ingest.next_timeout()
    }

    /// Does what is due: closes frames, ends liveness after a silence.
    pub fn poll(&self, now: Instant) {
        self.lock().ingest.handle_timeout(now);
    }

    /// When something was published here last.
    #[must_use]
    pub fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }

    /// Another publisher sends from now on: its SSRCs are taken at once, the line goes on. `media` is what it brings (video,
    /// audio), `rids` are its simulcast layers.
    pub fn new_publisher(&self, media: [bool; 2], rids: Vec<String>) {
        let mut way_in = self.lock();
        way_in.ingest.expect(self.expectation);
        way_in.ingest.brings(media);
        way_in.unheard = true;
        drop(way_in);
        self.stream.is_taken_on(media);
        for layer in self.open_layers() {
            layer.point.new_publisher(media, Vec::new());
        }
        self.set_layers(Some(rids));
    }

    /// Somebody beside the point itself holds its stream.
    pub(super) fn is_held(&self) -> bool {
        // The point's own, and its ingest's.
        Arc::strong_count(&self.stream) > 2
    }

    /// Key frames are asked of `ask` from now on, whoever was asked before. The number is for
    /// [`IngestPoint::release_keyframes`].
    pub fn claim_keyframes(&self, ask: KeyframeAsk) -> u64 {
        let mut keyframes = self.lock_keyframes();
        keyframes.claims += 1;
        keyframes.ask = Some(ask);
        keyframes.asked = None;
        keyframes.claims
    }

    /// The publisher of that claim leaves, and its layers with it; a later one stays.
    pub fn release_keyframes(&self, claim: u64) {
        let mut keyframes = self.lock_keyframes();
        if keyframes.claims == claim {
            keyframes.ask = None;
            self.set_layers(None);
        }
    }

    /// Asks the publisher for a key frame, at most every 500 ms. False where nobody publishes.
    pub fn request_keyframe(&self, now: Instant) -> bool {
        let mut keyframes = self.lock_keyframes();
        let Some(ask) = keyframes.ask.clone() else {
            return false;
        };
        let recent = |at: Instant| now.saturating_duration_since(at) < KEYFRAME_EVERY;
        if !keyframes.asked.is_some_and(recent) {
            keyframes.asked = Some(now);
            drop(keyframes);
            ask(None);
        }
        true
    }

    /// No packet will come any more.
    pub fn end(&self) {
        self.stream.end();
        self.end_layers();
    }

    fn lock(&self) -> MutexGuard<'_, WayIn> {
        self.way_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_keyframes(&self) -> MutexGuard<'_, Keyframes> {
        let keyframes = self.keyframes.lock();
        keyframes.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::events::EventKind;

    fn point(events: &Events) -> Arc<IngestPoint> {
        let expectation = Expectation {
            video: None,
            audio: None,
            start_time_us: 0,
        };
        IngestPoint::new(
            "cam",
            StreamKey(1),
            expectation,
            Limits {
                bytes: 1 << 20,
                time: Duration::from_secs(5),
            },
            Arc::default(),
            events.clone(),
        )
    }

    fn counting() -> (Arc<AtomicU64>, KeyframeAsk) {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        (
            count,
            Arc::new(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
        )
    }

    #[test]
    fn a_wish_of_a_viewer_reaches_the_publisher_twice_a_second_at_most() {
        let events = Events::default();
        let point = point(&events);
        let (count, ask) = counting();
        point.claim_keyframes(ask);
        let start = Instant::now();
        for ms in [0, 1, 499, 500, 700, 1001] {
            point
                .stream()
                .want_keyframe(start + Duration::from_millis(ms));
        }
        assert_eq!(count.load(Ordering::Relaxed), 3);
        assert!(
            events.next(Duration::ZERO).is_none(),
            "nobody else need act"
        );
    }

    #[test]
    fn without_a_publisher_the_host_is_told() {
        let events = Events::default();
        let point = point(&events);
        let (count, ask) = counting();
        let claim = point.claim_keyframes(ask);
        point.release_keyframes(claim);
        point.stream().want_keyframe(Instant::now());
        assert_eq!(count.load(Ordering::Relaxed), 0);
        let event = events.next(Duration::ZERO).expect("an event");
        assert_eq!(event.kind, EventKind::KeyframeWanted);
    }

    #[test]
    fn a_publisher_that_leaves_late_does_not_silence_its_successor() {
        let point = point(&Events::default());
        let (first, ask) = counting();
        let old = point.claim_keyframes(ask);
        let (second, ask) = counting();
        point.claim_keyframes(ask);
        point.release_keyframes(old);
        assert!(point.request_keyframe(Instant::now()));
        assert_eq!(first.load(Ordering::Relaxed), 0);
        assert_eq!(second.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn points_are_found_until_they_are_removed() {
        let ingests = Ingests::default();
        ingests.insert(point(&Events::default()));
        assert_eq!((ingests.count(), ingests.all().len()), (1, 1));
        assert!(ingests.find("cam").is_some() && ingests.find("x").is_none());
        assert!(ingests.remove("cam").is_some() && ingests.find("cam").is_none());
    }
}
