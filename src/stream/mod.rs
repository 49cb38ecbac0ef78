//! One live stream: where FFmpeg's packets meet viewers. Packets come from `leg` through [`Ingest`]; closed
//! frame batches go to every attached [`Sink`]. Stream knows only the trait, never who listens.

pub mod batch;
mod ending;
mod gate;
mod gather;
mod health;
pub mod history;
pub mod ingest;
pub mod ingests;
pub mod layers;
mod line;
mod meter;
mod params;
pub mod registry;
mod reorder;
mod report;
mod stall;
mod track;
mod verify;
mod warnings;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tokio::sync::watch;

use self::meter::Meter;
use self::warnings::{Warning, Warnings};
use crate::events::{EventKind, Events};
use crate::rtp::Media;
use crate::rtp::codec::{Codec, TrackFacts};
use crate::stats::Counters;

pub use batch::{FrameBatch, PacketSpan};
pub use history::History;
pub use ingest::Ingest;
pub use ingests::{IngestPoint, Ingests};
pub use meter::StreamStats;
pub use registry::Streams;

/// Names a stream inside one subsystem; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub u64);

/// Receives closed frame batches. Must not block.
pub trait Sink: Send + Sync {
    /// One closed batch of `stream`, in order per media.
    fn deliver(&self, stream: StreamKey, batch: Arc<FrameBatch>);
}

/// What the host said a leg carries, and the payload type drawn for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackExpectation {
    /// The codec that should arrive.
    pub codec: Codec,
    /// The payload type FFmpeg was told to use.
    pub payload_type: u8,
    /// The codec comes from `copy`: verify hard, warn `codec_mismatch`.
    pub copied: bool,
}

/// What the host said of the whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// The video track, if any.
    pub video: Option<TrackExpectation>,
    /// The audio track, if any.
    pub audio: Option<TrackExpectation>,
    /// `-start_time_realtime` of both legs, microseconds since the Unix epoch.
    pub start_time_us: u64,
}

/// What a stream carries right now; changes are seen through [`Stream::watch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamInfo {
    /// The video track, once its first packets parsed as its codec.
    pub video: Option<TrackFacts>,
    /// The audio track, once its first packet came.
    pub audio: Option<TrackFacts>,
    /// Which tracks the host expects: (video, audio).
    pub expected: (bool, bool),
    /// Packets came within the last 3 s.
    pub live: bool,
    /// Since when that is so, or an ingest's present publisher sends; None: it has not sent yet.
    pub live_since: Option<Instant>,
    /// The host stopped the process; no packet will come any more.
    pub ended: bool,
}

/// A viewer's wish for a key frame is passed on this often at most.
const KEYFRAME_WANTED_EVERY: Duration = Duration::from_millis(500);

/// One live stream. Shared by `Arc`; all methods are callable from any thread.
pub struct Stream {
    id: String,
    key: StreamKey,
    expectation: RwLock<Expectation>,
    counters: Arc<Counters>,
    events: Events,
    meter: Meter,
    warnings: Warnings,
    history: History,
    info: watch::Sender<StreamInfo>,
    /// Copied on attach and detach, so that a delivery holds no lock.
    sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
    /// One moment on both clocks.
    clock: (Instant, SystemTime),
    /// Wall time of the line's zero.
    origin: OnceLock<SystemTime>,
    keyframe_wanted: Mutex<Option<Instant>>,
    keyframe_source: OnceLock<KeyframeSource>,
    ended: AtomicBool,
}

/// Asks whoever encodes for a key frame; false where nobody is there.
type KeyframeSource = Box<dyn Fn(Instant) -> bool + Send + Sync>;

impl Stream {
    /// A stream without packets yet, and the one object that may feed it. It keeps pictures for joining viewers within
    /// the limits `kept`.
    #[must_use]
    pub fn new(
        id: &str,
        key: StreamKey,
        expectation: Expectation,
        kept: history::Limits,
        counters: Arc<Counters>,
        events: Events,
    ) -> (Arc<Self>, Ingest) {
        let expected = (expectation.video.is_some(), expectation.audio.is_some());
        let stream = Arc::new(Self {
            id: id.to_owned(),
            key,
            expectation: RwLock::new(expectation),
            counters,
            events,
            meter: Meter::default(),
            warnings: Warnings::default(),
            history: History::new(kept),
            info: watch::Sender::new(StreamInfo {
                expected,
                ..StreamInfo::default()
            }),
            sinks: RwLock::new(Arc::new([])),
            clock: (Instant::now(), SystemTime::now()),
            origin: OnceLock::new(),
            keyframe_wanted: Mutex::new(None),
            keyframe_source: OnceLock::new(),
            ended: AtomicBool::new(false),
        });
        let ingest = Ingest::new(Arc::clone(&stream), expectation);
        (stream, ingest)
    }

    /// The id the host gave.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key sinks see.
    #[must_use]
    pub fn key(&self) -> StreamKey {
        self.key
    }

    /// What the stream carries now.
    #[must_use]
    pub fn info(&self) -> StreamInfo {
        *self.info.borrow()
    }

    /// Changes of [`Stream::info`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<StreamInfo> {
        self.info.subscribe()
    }

    /// From the next batch on, `sink` gets every batch. The same sink twice is one.
    pub fn attach(&self, sink: Arc<dyn Sink>) {
        let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
        if !sinks.iter().any(|known| Arc::ptr_eq(known, &sink)) {
            *sinks = sinks.iter().cloned().chain([sink]).collect();
        }
    }

    /// `sink` gets no further batch (pointer equality).
    pub fn detach(&self, sink: &Arc<dyn Sink>) {
        let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
        *sinks = sinks
            .iter()
            .filter(|known| !Arc::ptr_eq(known, sink))
            .cloned()
            .collect();
    }

    /// For sender reports (RFC 3550 §6.4.1): the RTP timestamp on this stream's line of `media` at wall time `at`;
    /// one mapping for both media, so that lip sync is exact. None before the first packet, and for a medium the
    /// stream has not. The arithmetic stands in `line.rs`.
    #[must_use]
    pub fn timestamp_at(&self, media: Media, at: SystemTime) -> Option<u32> {
        let expectation = self.expectation();
        let track = match media {
            Media::Video => expectation.video,
            Media::Audio => expectation.audio,
        }?;
        let origin = *self.origin.get()?;
        let nanos = match at.duration_since(origin) {
            Ok(after) => i128::try_from(after.as_nanos()).ok()?,
            Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
        };
        let ticks = (nanos * i128::from(track.codec.clock_rate())).div_euclid(1_000_000_000);
        Some(ticks as u32)
    }

    /// Whom to ask for key frames: a publisher is behind the stream. Set once.
    fn on_keyframe_wanted(&self, source: KeyframeSource) {
        self.keyframe_source.get_or_init(|| source);
    }

    /// A viewer needs a key frame: the publisher is asked; where there is none, KEYFRAME_WANTED is raised, at most every
    /// 500 ms.
    pub fn want_keyframe(&self, now: Instant) {
        if self.keyframe_source.get().is_some_and(|ask| ask(now)) {
            return;
        }
        let mut last = self
            .keyframe_wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| now.saturating_duration_since(at) < KEYFRAME_WANTED_EVERY) {
            return;
        }
        *last = Some(now);
        drop(last);
        self.events
            .push(EventKind::KeyframeWanted, &self.id, json!({}));
    }

    /// A viewer begins in the middle: a publisher behind the stream is asked for a key frame. FFmpeg's next one is waited
    /// for.
    pub fn viewer_begins(&self, now: Instant) {
        if let Some(ask) = self.keyframe_source.get() {
            ask(now);
        }
    }

    /// What it sent last: for viewers that join and packets that were lost.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Numbers for `stats_json`: bitrate, key-frame interval, restarts, packets.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.meter.read()
    }

    /// Codes of the warnings that hold now.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        self.warnings.codes()
    }

    fn expectation(&self) -> Expectation {
        *self
            .expectation
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The host announces something else; what is no longer expected is gone from the info.
    fn expect(&self, expectation: Expectation) {
        *self
            .expectation
            .write()
            .unwrap_or_else(PoisonError::into_inner) = expectation;
        self.info.send_if_modified(|info| {
            let before = *info;
            let differs = |facts: &Option<TrackFacts>, track: Option<TrackExpectation>| {
                facts.is_some_and(|facts| track.map(|track| track.codec) != Some(facts.codec))
            };
            if differs(&info.video, expectation.video) {
                info.video = None;
            }
            if differs(&info.audio, expectation.audio) {
                info.audio = None;
            }
            info.expected = (expectation.video.is_some(), expectation.audio.is_some());
            *info != before
        });
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The WARNING event, where it did not hold already: then it is true.
    fn raise(&self, warning: Warning, media: Media, detail: serde_json::Value) -> bool {
        let new = self.warnings.raise(warning, media);
        if new {
            self.events.warn(&self.id, warning.code(), detail);
        }
        new
    }

    /// The event in any case.
    fn tell(&self, warning: Warning, media: Media, detail: serde_json::Value) {
        self.hold_warning(warning, media);
        self.events.warn(&self.id, warning.code(), detail);
    }

    /// The warning without the event.
    fn hold_warning(&self, warning: Warning, media: Media) {
        self.warnings.raise(warning, media);
    }

    fn clear_warning(&self, warning: Warning, media: Media) {
        self.warnings.clear(warning, media);
    }

    /// Every closed batch passes here and nowhere else.
    fn deliver(&self, batch: &Arc<FrameBatch>) {
        self.history.keep(batch);
        let sinks = Arc::clone(&self.sinks.read().unwrap_or_else(PoisonError::into_inner));
        for sink in sinks.iter() {
            sink.deliver(self.key, Arc::clone(batch));
        }
    }

    /// The moment on the monotonic clock that is zero on the line; the first one counts.
    fn set_origin(&self, origin: Instant) {
        self.origin.get_or_init(|| {
            let (instant, wall) = self.clock;
            let shifted = match origin.checked_duration_since(instant) {
                Some(after) => wall.checked_add(after),
                None => wall.checked_sub(instant.saturating_duration_since(origin)),
            };
            shifted.unwrap_or(wall)
        });
    }

    fn set_track(&self, media: Media, facts: Option<TrackFacts>) {
        self.info.send_if_modified(|info| {
            let track = match media {
                Media::Video => &mut info.video,
                Media::Audio => &mut info.audio,
            };
            std::mem::replace(track, facts) != facts
        });
    }

    /// Raises STREAM_ACTIVE or STREAM_INACTIVE where that changes something.
    fn set_live(&self, since: Option<Instant>) {
        let changes = |info: &mut StreamInfo| info.turn_live(since);
        if !self.info.send_if_modified(changes) {
            return;
        }
        let codec = |track: Option<TrackExpectation>| track.map(|track| track.codec.name());
        let (kind, detail) = if since.is_some() {
            let expected = self.expectation();
            let detail = json!({ "video": codec(expected.video), "audio": codec(expected.audio) });
            (EventKind::StreamActive, detail)
        } else {
            (EventKind::StreamInactive, json!({}))
        };
        self.events.push(kind, &self.id, detail);
    }
}
