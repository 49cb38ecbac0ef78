//! Publishing: an ingest by hand, and a browser that publishes to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use corertc::rtp::codec::Codec;
use corertc::stream::{Expectation, IngestPoint, StreamKey, TrackExpectation};
use serde_json::{Value, json};

use super::browser::Browser;
use super::host::Host;
use super::{PATIENCE, eventually};

const KEPT: corertc::stream::history::Limits = corertc::stream::history::Limits {
    bytes: 16 << 20,
    time: std::time::Duration::from_secs(12),
};

/// An ingest of `video` and Opus under `id`.
pub(crate) fn ingest(host: &Host, id: &str, video: Option<Codec>) -> Arc<IngestPoint> {
    // Far from the keys the subsystem gives.
    static KEYS: AtomicU64 = AtomicU64::new(1 << 40);
    let track = |codec, payload_type| TrackExpectation {
        codec,
        payload_type,
        copied: true,
    };
    let expectation = Expectation {
        video: video.map(|codec| track(codec, 120)),
        audio: Some(track(Codec::Opus, 121)),
        start_time_us: 0,
    };
    let key = StreamKey(KEYS.fetch_add(1, Ordering::Relaxed));
    let counters = host.subsystem.counters().clone();
    let events = host.subsystem.events().clone();
    let point = IngestPoint::new(id, key, expectation, KEPT, counters, events);
    host.subsystem.ingests().unwrap().insert(point.clone());
    point
}

/// What a browser says of its publishing.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    pub(crate) state: String,
    pub(crate) frames_encoded: u64,
    pub(crate) key_frames_encoded: u64,
    pub(crate) pli_count: u64,
    pub(crate) nack_count: u64,
    pub(crate) retransmitted: u64,
    /// The bandwidth it believes in, bit/s.
    pub(crate) available: Option<f64>,
    pub(crate) rtt: Option<f64>,
    /// rid, frames, width.
    pub(crate) layers: Vec<(String, u64, u32)>,
}

impl Browser {
    /// POSTs an offer for camera and microphone; the answer.
    pub(crate) fn publish(&self, name: &str, url: &str, options: Value) -> Value {
        self.wait_for(
            "whip.publish(arguments[0], arguments[1], arguments[2])",
            vec![json!(name), json!(url), options],
        )
    }

    pub(crate) fn sent(&self, name: &str) -> Sent {
        let report = self.wait_for("whip.report(arguments[0])", vec![json!(name)]);
        serde_json::from_value(report.clone()).unwrap_or_else(|error| panic!("{error}: {report}"))
    }

    /// Waits until its report is as `wanted` says.
    pub(crate) fn until_sent(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Sent) -> bool,
    ) -> Sent {
        eventually(&format!("{name}: {what}"), PATIENCE, || {
            let sent = self.sent(name);
            match wanted(&sent) {
                true => Ok(sent),
                false => Err(format!("{sent:?}")),
            }
        })
    }

    /// Ends a publisher: with its DELETE (the status), or by closing alone.
    pub(crate) fn unpublish(&self, name: &str, silently: bool) -> Value {
        self.wait_for(
            "whip.leave(arguments[0], arguments[1])",
            vec![json!(name), json!(silently)],
        )["status"]
            .clone()
    }
}
