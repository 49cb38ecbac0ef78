//! Looking at viewers for a while, window by window.

use std::time::{Duration, Instant};

use super::browser::{Browser, Report};
use super::{PATIENCE, eventually};

/// In each of these there must be frames.
pub(crate) const WINDOW: Duration = Duration::from_secs(3);

/// What one viewer saw in each window.
#[derive(Debug)]
pub(crate) struct Windows {
    pub(crate) first: Report,
    pub(crate) last: Report,
    /// Frames decoded in each.
    pub(crate) frames: Vec<u64>,
}

impl Windows {
    /// Of the audio that was sent meanwhile, so much was lost, per cent.
    pub(crate) fn audio_lost_percent(&self) -> f64 {
        let came = self.last.audio_packets - self.first.audio_packets;
        let lost = (self.last.audio_lost - self.first.audio_lost).max(0) as f64;
        lost * 100.0 / (came as f64 + lost).max(1.0)
    }
}

/// Lets this time pass.
pub(crate) fn waited(time: Duration) {
    let began = Instant::now();
    eventually("time passes", PATIENCE, || match began.elapsed() {
        elapsed if elapsed >= time => Ok(()),
        elapsed => Err(format!("{elapsed:?}")),
    });
}

/// Looks at these viewers for so many windows.
pub(crate) fn look<const N: usize>(
    browser: &Browser,
    names: [&str; N],
    windows: usize,
) -> [Windows; N] {
    let mut seen = names.map(|name| {
        let first = browser.report(name);
        Windows {
            last: first.clone(),
            first,
            frames: Vec::new(),
        }
    });
    for _ in 0..windows {
        waited(WINDOW);
        for (name, seen) in names.iter().zip(&mut seen) {
            let report = browser.report(name);
            seen.frames
                .push(report.frames_decoded - seen.last.frames_decoded);
            seen.last = report;
        }
    }
    seen
}
