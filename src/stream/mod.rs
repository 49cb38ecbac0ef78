//! One live stream: where FFmpeg's packets meet viewers. Packets come from `leg` through [`Ingest`]; closed
//! frame batches go to every attached [`Sink`]. Stream knows only the trait, never who listens.

pub mod batch;
pub mod ingest;
pub mod registry;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::events::Events;
use crate::rtp::Media;
use crate::rtp::codec::{Codec, TrackFacts};
use crate::stats::Counters;

pub use batch::{FrameBatch, PacketSpan};
pub use ingest::Ingest;
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
    /// The host stopped the process; no packet will come any more.
    pub ended: bool,
}

/// One live stream. Shared by `Arc`; all methods are callable from any thread.
pub struct Stream {
    id: String,
    key: StreamKey,
}

impl Stream {
    /// A stream without packets yet, and the one object that may feed it.
    #[must_use]
    pub fn new(
        id: &str,
        key: StreamKey,
        expectation: Expectation,
        counters: Arc<Counters>,
        events: Events,
    ) -> (Arc<Self>, Ingest) {
        let _ = (id, key, expectation, counters, events);
        todo!("built by the stream helper")
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
        todo!()
    }

    /// Changes of [`Stream::info`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<StreamInfo> {
        todo!()
    }

    /// From the next batch on, `sink` gets every batch. The same sink twice is one.
    pub fn attach(&self, sink: Arc<dyn Sink>) {
        let _ = sink;
        todo!()
    }

    /// `sink` gets no further batch (pointer equality).
    pub fn detach(&self, sink: &Arc<dyn Sink>) {
        let _ = sink;
        todo!()
    }

    /// For sender reports (RFC 3550 §6.4.1): the RTP timestamp on this stream's line of `media` at wall time `at`;
    /// one mapping for both media, so that lip sync is exact. None before the first packet.
    #[must_use]
    pub fn timestamp_at(&self, media: Media, at: SystemTime) -> Option<u32> {
        let _ = (media, at);
        todo!()
    }

    /// A viewer needs a key frame that no one can give: raises KEYFRAME_WANTED, at most every 500 ms.
    pub fn want_keyframe(&self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// No packet will come any more; watchers see `ended`.
    pub fn end(&self) {
        todo!()
    }

    /// Numbers for `stats_json`: bitrate, key-frame interval, restarts, packets.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        todo!()
    }
}

/// Numbers of one stream for `stats_json`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamStats {
    /// RTP packets taken, both media.
    pub packets: u64,
    /// Payload bytes taken, both media.
    pub bytes: u64,
    /// Bits per second over the last second or so.
    pub bitrate_bps: u64,
    /// Time between the last two video key frames.
    pub keyframe_interval: Option<Duration>,
    /// New SSRCs taken over after a silence (FFmpeg restarts), counted once per restart of the video leg, or audio where there is no video.
    pub restarts: u64,
}
