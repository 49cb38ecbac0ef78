//! The sender reports of a leg (RFC 3550 §6.4.1), kept by SSRC until their packets come.

use crate::rtp::rtcp;

/// Seconds between the NTP epoch (1900) and the Unix epoch.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// Where a sender's RTP clock stood at a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderReport {
    pub(super) ssrc: u32,
    /// Microseconds since the Unix epoch.
    pub(super) wall_us: i64,
    pub(super) rtp: u32,
}

impl From<rtcp::SenderReport> for SenderReport {
    fn from(report: rtcp::SenderReport) -> Self {
        let (seconds, fraction) = ((report.ntp >> 32) as u32, report.ntp as u32);
        // FFmpeg cuts the fraction of its microseconds off below: rounding up gives them back exactly.
        let micros = (i64::from(fraction) * 1_000_000 + 0xffff_ffff) >> 32;
        Self {
            ssrc: report.ssrc,
            wall_us: (i64::from(seconds) - NTP_TO_UNIX_S) * 1_000_000 + micros,
            rtp: report.rtp,
        }
    }
}

/// Last sender reports by SSRC: FFmpeg sends one before the first packet of a run, when its SSRC is still unknown.
#[derive(Debug, Default)]
pub(super) struct Reports {
    recent: [Option<SenderReport>; 8],
    oldest: usize,
}

impl Reports {
    pub(super) fn keep(&mut self, report: SenderReport) {
        let known =
            |slot: &&mut Option<SenderReport>| slot.is_some_and(|kept| kept.ssrc == report.ssrc);
        if let Some(slot) = self.recent.iter_mut().find(known) {
            *slot = Some(report);
            return;
        }
        self.recent[self.oldest] = Some(report);
        self.oldest = (self.oldest + 1) % self.recent.len();
    }

    pub(super) fn of(&self, ssrc: u32) -> Option<SenderReport> {
        self.recent
            .iter()
            .flatten()
            .find(|report| report.ssrc == ssrc)
            .copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// From FFmpeg 5.1.9, `-start_time_realtime 1700000000000000`.
    const FFMPEG: [u8; 28] = [
        0x80, 0xc8, 0, 6, 0xcd, 0xed, 0x4c, 0x51, 0xee, 0xb1, 0x09, 0xa6, 0x87, 0xae, 0x14, 0x7a,
        0xe1, 0x4e, 0x1a, 0xf4, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn a_report_of_ffmpeg_keeps_its_microseconds() {
        let Some(Ok(rtcp::Item::SenderReport(report))) = rtcp::parse(&FFMPEG).next() else {
            panic!("a sender report");
        };
        assert_eq!(
            SenderReport::from(report),
            SenderReport {
                ssrc: 0xcded_4c51,
                wall_us: 1_795_590_950_530_000,
                rtp: 0xe14e_1af4
            }
        );
    }

    #[test]
    fn the_oldest_sender_is_forgotten_first() {
        let mut reports = Reports::default();
        for ssrc in 0..9 {
            reports.keep(SenderReport {
                ssrc,
                wall_us: 0,
                rtp: 1,
            });
            reports.keep(SenderReport {
                ssrc,
                wall_us: 0,
                rtp: 2,
            });
        }
        assert_eq!(reports.of(0), None);
        assert_eq!(reports.of(8).map(|report| report.rtp), Some(2));
        assert!(reports.of(1).is_some());
    }
}
