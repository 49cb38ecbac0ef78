//! From frame batches to RTP towards FFmpeg: the [`line`] it sees, the [`queue`] in front of it, and UDP.

pub(super) mod kept;
pub(super) mod line;
mod ports;
pub(super) mod queue;
pub mod udp;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod line_tests;

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stats::Counters;
use crate::stream::IngestPoint;

/// Between two looks at a point that nobody feeds.
const KEEP_EVERY: Duration = Duration::from_millis(100);

/// Numbers of one input's way to FFmpeg, for `stats_json`.
#[derive(Debug, Default)]
pub struct InputNumbers {
    /// FFmpeg reads.
    pub reading: AtomicBool,
    /// How often it came.
    pub readings: AtomicU64,
    /// RTP packets sent to it.
    pub packets: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
    /// Frames it did not take in time.
    pub frames_dropped: AtomicU64,
    /// Silent Opus frames made for it.
    pub silence: AtomicU64,
}

impl InputNumbers {
    pub(super) fn came(&self) {
        self.reading.store(true, Ordering::Relaxed);
        self.readings.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.reading.store(false, Ordering::Relaxed);
    }

    /// Packets of RTP.
    pub(super) fn sent(&self, kind: line::Packet, packets: u64, bytes: u64, counters: &Counters) {
        if kind == line::Packet::Silence {
            self.silence.fetch_add(packets, Ordering::Relaxed);
        }
        self.packets.fetch_add(packets, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        counters.input_packets_out.add(packets);
        counters.input_bytes_out.add(bytes);
    }
}

/// Keeps the time of a point that no publisher feeds: its liveness ends, its last frame leaves. Until the stream's end.
pub async fn keep(point: Weak<IngestPoint>) {
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        let Some(point) = point.upgrade().filter(|it| !it.stream().info().ended) else {
            return;
        };
        point.poll(Instant::now());
    }
}
