//! What is going on, as numbers, JSON and Prometheus text.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::events::Events;
use crate::leg::Leg;
use crate::metrics::{Snapshot, StreamGauges};
use crate::rtp::codec::{Codec, TrackFacts};
use crate::session::Sessions;
use crate::stats::Counters;
use crate::stream::{Ingests, Stream, Streams};

use super::Subsystem;
use super::inputs::{InputReport, Inputs};
use super::processes::Processes;
use super::world::Live;

impl Subsystem {
    /// The JSON of `corertc_subsystem_stats_json`.
    #[must_use]
    pub fn stats_json(&self) -> String {
        let (streams, inputs, viewers, publishers) = self.now();
        let mut counters: serde_json::Map<String, Value> = self
            .counters
            .all()
            .into_iter()
            .map(|(name, _, value)| (name.to_owned(), value.into()))
            .collect();
        counters.insert("events_lost".to_owned(), self.events.lost().into());
        let running = self.running.as_ref();
        let living = running.map(|it| &it.living);
        json!({
            "enabled": self.enabled(),
            "closed": self.gate.shut(),
            "now": { "streams": streams, "inputs": inputs, "viewers": viewers, "publishers": publishers },
            "counters": counters,
            "udp": running.map(|it| it.udp.as_slice()).unwrap_or_default(),
            "http": running.and_then(|it| it.serve.addr()),
            "inputs": living.map(Living::inputs_json).unwrap_or_default(),
            "streams": living.map(Living::streams_json).unwrap_or_default(),
            "sessions": living.map(|it| it.sessions.stats()).unwrap_or_default(),
        })
        .to_string()
    }

    /// Prometheus text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let living = self.running.as_ref().map(|it| &it.living);
        metrics_text(&self.counters, &self.events, living)
    }

    /// (streams, inputs, viewers, publishers) now.
    #[must_use]
    pub fn now(&self) -> (u64, u64, u64, u64) {
        self.running
            .as_ref()
            .map_or((0, 0, 0, 0), |it| it.living.now())
    }
}

/// What lives in an enabled subsystem: all that a report is made of beside the counters. The listener's `/metrics`
/// has a clone of its own.
#[derive(Clone)]
pub(super) struct Living {
    pub(super) processes: Arc<Processes<Live>>,
    pub(super) inputs: Arc<Inputs>,
    pub(super) ingests: Ingests,
    pub(super) sessions: Sessions,
    pub(super) streams: Streams,
}

/// The Prometheus text of a subsystem.
pub(super) fn metrics_text(
    counters: &Counters,
    events: &Events,
    living: Option<&Living>,
) -> String {
    let (streams, inputs, viewers, publishers) = living.map_or((0, 0, 0, 0), Living::now);
    let mut snapshot = Snapshot::of(counters);
    snapshot.counters.push((
        "events_lost",
        "Events lost because the host was slow.",
        events.lost(),
    ));
    snapshot.gauges = vec![
        ("streams", "Processes with egress legs", streams),
        ("inputs", "Processes with an input", inputs),
        ("viewers", "Viewers now", viewers),
        ("publishers", "Publishers now", publishers),
    ];
    snapshot.streams = living.map(Living::stream_gauges).unwrap_or_default();
    snapshot.render()
}

impl Living {
    fn now(&self) -> (u64, u64, u64, u64) {
        let streams = self.processes.count() as u64;
        let publishers = self.sessions.publishers();
        let viewers = self.sessions.count().saturating_sub(publishers);
        (streams, self.inputs.count() as u64, viewers, publishers)
    }

    fn streams_json(&self) -> Vec<Value> {
        let streams = self.streams.all();
        streams.iter().map(|it| self.stream_json(it)).collect()
    }

    fn inputs_json(&self) -> Vec<Value> {
        self.inputs.report().iter().map(input_json).collect()
    }

    fn stream_json(&self, stream: &Stream) -> Value {
        let (info, stats) = (stream.info(), stream.stats());
        let legs = self.processes.legs_of(stream.id());
        json!({
            "id": stream.id(),
            "live": info.live,
            "video": info.video.map(track),
            "audio": info.audio.map(track),
            "legs": legs.iter().map(leg).collect::<Vec<_>>(),
            "viewers": self.sessions.viewers_of(stream.key()),
            "packets": stats.packets,
            "bytes": stats.bytes,
            "bitrate_bps": stats.bitrate_bps,
            "keyframe_interval_ms": stats.keyframe_interval.map(|it| it.as_secs_f64() * 1e3),
            "restarts": stats.restarts,
            "warnings": stream.warnings(),
        })
    }

    fn stream_gauges(&self) -> Vec<StreamGauges> {
        let streams = self.streams.all();
        let gauges = streams.iter().map(|stream| StreamGauges {
            id: stream.id().to_owned(),
            viewers: self.sessions.viewers_of(stream.key()),
            bitrate_bps: stream.stats().bitrate_bps,
            live: stream.info().live,
        });
        gauges.collect()
    }
}

fn track(facts: TrackFacts) -> Value {
    let h264 = facts.codec == Codec::H264;
    let numbers = facts.profile_level_id;
    let hex = numbers
        .filter(|_| h264)
        .map(|[a, b, c]| format!("{a:02x}{b:02x}{c:02x}"));
    let profile = numbers.filter(|_| !h264);
    json!({
        "codec": facts.codec.name(),
        "profile_level_id": hex,
        "profile": profile.map(|[profile, ..]| profile),
        "level": profile.filter(|_| facts.codec != Codec::Vp9).map(|[.., level]| level),
    })
}

fn input_json(input: &InputReport) -> Value {
    let stream = input.point.stream();
    let (info, stats, numbers) = (stream.info(), stream.stats(), &input.numbers);
    json!({
        "id": input.point.id(),
        "live": info.live,
        "video": info.video.map(track),
        "audio": info.audio.map(track),
        "leg": leg(&input.leg),
        "packets": stats.packets,
        "bytes": stats.bytes,
        "bitrate_bps": stats.bitrate_bps,
        "keyframe_interval_ms": stats.keyframe_interval.map(|it| it.as_secs_f64() * 1e3),
        "restarts": stats.restarts,
        "ffmpeg": {
            "reading": numbers.reading.load(Ordering::Relaxed),
            "readings": numbers.readings.load(Ordering::Relaxed),
            "packets": numbers.packets.load(Ordering::Relaxed),
            "bytes": numbers.bytes.load(Ordering::Relaxed),
            "frames_dropped": numbers.frames_dropped.load(Ordering::Relaxed),
            "silence": numbers.silence.load(Ordering::Relaxed),
        },
    })
}

fn leg(leg: &Leg) -> Value {
    json!({
        "id": leg.id,
        "kind": leg.kind,
        "rtp_port": leg.rtp_port,
        "payload_type": leg.payload_type,
        "clock_rate": leg.clock_rate,
    })
}
