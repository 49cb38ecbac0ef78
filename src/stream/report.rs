//! The little of RTCP that a leg sends: sender reports and goodbyes (RFC 3550 §6.4.1, §6.6).

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Sender(SenderReport),
    Bye { ssrc: u32 },
}

/// Calls `each` for what is of use in a compound packet; false where the framing is broken.
pub(super) fn read(mut datagram: &[u8], mut each: impl FnMut(Report)) -> bool {
    while let Some((head, _)) = datagram.split_first_chunk::<4>() {
        let len = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
        if head[0] >> 6 != 2 || len > datagram.len() {
            return false;
        }
        let (packet, rest) = datagram.split_at(len);
        let word = |at: usize| {
            let bytes = packet.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        match head[1] {
            200 => {
                let (Some(ssrc), Some(seconds), Some(fraction), Some(rtp)) =
                    (word(4), word(8), word(12), word(16))
                else {
                    return false;
                };
                // FFmpeg cuts the fraction of its microseconds off below: rounding up gives them back exactly.
                let micros = (i64::from(fraction) * 1_000_000 + 0xffff_ffff) >> 32;
                each(Report::Sender(SenderReport {
                    ssrc,
                    wall_us: (i64::from(seconds) - NTP_TO_UNIX_S) * 1_000_000 + micros,
                    rtp,
                }));
            }
            203 => {
                for index in 0..usize::from(head[0] & 0x1f) {
                    let Some(ssrc) = word(4 + 4 * index) else {
                        return false;
                    };
                    each(Report::Bye { ssrc });
                }
            }
            _ => {}
        }
        datagram = rest;
    }
    datagram.is_empty()
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
        let mut seen = Vec::new();
        assert!(read(&FFMPEG, |report| seen.push(report)));
        assert_eq!(
            seen,
            [Report::Sender(SenderReport {
                ssrc: 0xcded_4c51,
                wall_us: 1_795_590_950_530_000,
                rtp: 0xe14e_1af4
            })]
        );
    }

    #[test]
    fn broken_framing_is_told_and_a_bye_found_behind_a_report() {
        let mut compound = FFMPEG.to_vec();
        compound.extend([0x81, 203, 0, 1, 1, 2, 3, 4]);
        let mut seen = Vec::new();
        assert!(read(&compound, |report| seen.push(report)));
        assert_eq!(seen[1], Report::Bye { ssrc: 0x0102_0304 });
        for cut in 1..FFMPEG.len() {
            assert!(!read(&FFMPEG[..cut], |_| {}), "{cut}");
        }
        assert!(!read(&[0x81, 203, 0, 0], |_| {}));
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
