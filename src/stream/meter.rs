//! The numbers of one stream: written by its ingest, read by `stats_json`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// The shared side: relaxed atomics, each a number of its own.
#[derive(Debug, Default)]
pub(super) struct Meter {
    packets: AtomicU64,
    bytes: AtomicU64,
    bitrate_bps: AtomicU64,
    /// Microseconds, 0 for none.
    keyframe_interval_us: AtomicU64,
    restarts: AtomicU64,
}

impl Meter {
    pub(super) fn took(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> StreamStats {
        let interval_us = self.keyframe_interval_us.load(Ordering::Relaxed);
        StreamStats {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bitrate_bps: self.bitrate_bps.load(Ordering::Relaxed),
            keyframe_interval: (interval_us != 0).then(|| Duration::from_micros(interval_us)),
            restarts: self.restarts.load(Ordering::Relaxed),
        }
    }
}

/// Bitrate window.
const WINDOW: Duration = Duration::from_secs(1);

/// The ingest's side: what it needs to remember to write rates.
#[derive(Debug, Default)]
pub(super) struct Rates {
    window: Option<(Instant, u64)>,
    keyframe: Option<Instant>,
}

impl Rates {
    /// When the window ends, while one runs.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window.map(|(start, _)| start + WINDOW)
    }

    /// Starts a window, or ends one that is over.
    pub(super) fn roll(&mut self, meter: &Meter, now: Instant) {
        let bytes = meter.bytes.load(Ordering::Relaxed);
        let Some((start, before)) = self.window else {
            self.window = Some((now, bytes));
            return;
        };
        let elapsed = now.saturating_duration_since(start);
        if elapsed >= WINDOW {
            let bits = u128::from(bytes.saturating_sub(before)) * 8 * 1_000_000;
            let bps = bits / elapsed.as_micros().max(1);
            meter
                .bitrate_bps
                .store(u64::try_from(bps).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.window = Some((now, bytes));
        }
    }

    /// The stream fell silent.
    pub(super) fn stop(&mut self, meter: &Meter) {
        self.window = None;
        self.keyframe = None;
        meter.bitrate_bps.store(0, Ordering::Relaxed);
    }

    /// A video key frame went out.
    pub(super) fn keyframe(&mut self, meter: &Meter, now: Instant) {
        if let Some(before) = self.keyframe.replace(now) {
            let us = now.saturating_duration_since(before).as_micros();
            meter
                .keyframe_interval_us
                .store(u64::try_from(us).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
