//! What a viewer reports of its reception: loss, round-trip time, bandwidth; and what it asks for.

use std::time::Duration;

use crate::rtp::rtcp::{self, Item, RtcpError};

/// Sequence numbers one RTCP packet may ask for again; more is no repair but a flood. Chromium asks for 1000 at most,
/// the oldest first: what it needs most, a lost key frame, comes last.
const MISSING_MAX: usize = 1024;

/// The last reports of a viewer.
#[derive(Debug, Default)]
pub struct Feedback {
    /// Of 256, per track (video, audio).
    fraction_lost: [Option<u8>; 2],
    /// What was reported of each track last.
    tracks: [Option<Received>; 2],
    /// There is one about our video that was not taken yet.
    reported: bool,
    /// The round trip it tells of.
    fresh_rtt: Option<Duration>,
    rtt: Option<Duration>,
    remb_bps: Option<u64>,
    /// One that came since a reception was taken.
    fresh_remb_bps: Option<u64>,
    /// The sender report that the last report answered.
    last_lsr: u32,
    /// A full intra request repeated has the same number (RFC 5104 §4.3.1.1).
    last_fir: Option<u8>,
}

/// What a viewer has received of a track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Its highest sequence number, with the count of wraps.
    pub highest: u32,
    /// Lost in all.
    pub lost: i32,
}

/// How it arrives at a viewer, as its reports say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// Video and audio.
    pub tracks: [Option<Received>; 2],
    /// The round trip that the last report, and none before it, tells of.
    pub rtt: Option<Duration>,
    /// The bandwidth it estimated since the report before.
    pub remb_bps: Option<u64>,
}

/// What one RTCP packet asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// PLIs and new FIRs for our video.
    pub keyframe_requests: u64,
    /// Sequence numbers asked for again, per track.
    pub missing: [Vec<u16>; 2],
    /// There is a new [`Reception`].
    pub reported: bool,
    /// It leaves.
    pub bye: bool,
}

impl Feedback {
    /// Reads one plain RTCP packet. `ssrcs` are ours (video, audio): what is about others is ignored. What was read
    /// before a malformed part counts.
    pub fn read(
        &mut self,
        packet: &[u8],
        ssrcs: [Option<u32>; 2],
        now_ntp: u64,
        news: &mut News,
    ) -> Result<(), RtcpError> {
        let track = |ssrc: u32| ssrcs.iter().position(|ours| *ours == Some(ssrc));
        for item in rtcp::parse(packet) {
            match item? {
                Item::ReportBlock(block) => {
                    if let Some(track) = track(block.ssrc) {
                        self.fraction_lost[track] = Some(block.fraction_lost);
                        let rtt = block.round_trip(now_ntp);
                        self.rtt = rtt.or(self.rtt);
                        self.tracks[track] = Some(Received {
                            highest: block.highest_seq,
                            lost: block.cumulative_lost,
                        });
                        if track == 0 {
                            self.fresh_rtt = rtt.filter(|_| block.lsr != self.last_lsr);
                            self.last_lsr = block.lsr;
                            (self.reported, news.reported) = (true, true);
                        }
                    }
                }
                Item::Pli(pli) if track(pli.media_ssrc) == Some(0) => news.keyframe_requests += 1,
                Item::Fir(fir)
                    if track(fir.ssrc) == Some(0) && self.last_fir != Some(fir.sequence) =>
                {
                    self.last_fir = Some(fir.sequence);
                    news.keyframe_requests += 1;
                }
                Item::Nack(nack) => {
                    if let Some(track) = track(nack.media_ssrc) {
                        let room = MISSING_MAX - news.missing[track].len();
                        news.missing[track].extend(nack.sequences().take(room));
                    }
                }
                Item::Remb(remb) => {
                    self.remb_bps = Some(remb.bitrate_bps);
                    self.fresh_remb_bps = self.remb_bps;
                }
                Item::Bye(_) => news.bye = true,
                Item::Pli(_) | Item::Fir(_) | Item::SenderReport(_) | Item::TransportCc(_) => {}
            }
        }
        Ok(())
    }

    /// Fraction lost of the last report, percent: the worse of the tracks'.
    #[must_use]
    pub fn loss_percent(&self) -> Option<f64> {
        let worst = self.fraction_lost.iter().flatten().max()?;
        Some(f64::from(*worst) * 100.0 / 256.0)
    }

    /// What is new by a report about our video; once per report.
    pub fn take_reception(&mut self) -> Option<Reception> {
        std::mem::take(&mut self.reported).then(|| Reception {
            tracks: self.tracks,
            rtt: self.fresh_rtt.take(),
            remb_bps: self.fresh_remb_bps.take(),
        })
    }

    /// Round-trip time of the last report that could tell (RFC 3550 §6.4.1).
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The bandwidth it estimates, bit/s (REMB).
    #[must_use]
    pub fn remb_bps(&self) -> Option<u64> {
        self.remb_bps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::ReportBlock;

    const OURS: [Option<u32>; 2] = [Some(10), Some(20)];

    #[test]
    fn reports_about_our_tracks_count_and_others_do_not() {
        let mut packet = Vec::new();
        let block = |ssrc, fraction_lost| ReportBlock {
            ssrc,
            fraction_lost,
            ..ReportBlock::default()
        };
        rtcp::write_receiver_report(
            &mut packet,
            1,
            &[block(10, 64), block(20, 0), block(99, 255)],
        );
        let mut feedback = Feedback::default();
        feedback
            .read(&packet, OURS, 0, &mut News::default())
            .unwrap();
        assert_eq!(feedback.loss_percent(), Some(25.0));
    }

    #[test]
    fn a_repeated_full_intra_request_counts_once_and_one_for_another_source_never() {
        let fir = |ssrc: u8, sequence: u8| {
            let mut packet = vec![0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
            packet.extend([0, 0, 0, ssrc, sequence, 0, 0, 0]);
            packet
        };
        let mut feedback = Feedback::default();
        let mut news = News::default();
        for packet in [fir(10, 1), fir(10, 1), fir(99, 2), fir(10, 3)] {
            feedback.read(&packet, OURS, 0, &mut news).unwrap();
        }
        assert_eq!(news.keyframe_requests, 2);
    }

    #[test]
    fn a_nack_flood_is_cut() {
        let mut packet = vec![0x81, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 10];
        for pid in 0..100_u16 {
            packet.extend((pid * 17).to_be_bytes());
            packet.extend([0xff, 0xff]);
        }
        let words = (packet.len() / 4 - 1) as u16;
        packet[2..4].copy_from_slice(&words.to_be_bytes());
        let mut news = News::default();
        Feedback::default()
            .read(&packet, OURS, 0, &mut news)
            .unwrap();
        assert_eq!(news.missing[0].len(), MISSING_MAX);
        assert_eq!(news.missing[0][..3], [0, 1, 2]);
    }
}
