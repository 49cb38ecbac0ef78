//! A link narrower than the stream. What a viewer reports says how much gets through; from then on its video leaves no
//! faster than that, read from the stream's history as when it catches up, and where a key frame comes before it got
//! there, the frames between are left out. Audio leaves with everyone's. Sequence numbers go on without a gap: nothing is
//! asked for again.
//!
//! What it may send is raised after a while, a little at a time; each time that fails, the next try waits twice as long.

use std::time::{Duration, Instant};

use super::lanes::ROUND_PACKETS;
use super::shard::Shard;
use crate::rtp::Media;
use crate::rtp::rtcp::ReportBlock;

#[cfg(test)]
#[path = "thinning_tests.rs"]
mod tests;

/// Between two looks at what a viewer reports.
const LOOK: Duration = Duration::from_millis(900);
/// Too few packets tell nothing.
const LOOK_PACKETS: u32 = 10;
/// Loss that repair can't make up for, and loss that says the link is full once its width is known.
const LOSS_BAD: f64 = 0.10;
const LOSS_FULL: f64 = 0.05;
const LOSS_GOOD: f64 = 0.02;
/// An estimate this far below what is sent says that packets queue up somewhere. An estimator in doubt stays above.
const REMB_BAD: f64 = 0.7;
/// Two looks with loss, or four with a low estimate.
const BAD_ENOUGH: u8 = 4;
const BY_LOSS: u8 = 2;
const BY_REMB: u8 = 1;
/// What was sent filled the link where it was this much of it.
const SENT_FULL: f64 = 0.8;
/// Of what got through: room for RTCP and what is sent again.
const USED: f64 = 0.9;
/// So many looks in a row with loss although less was sent: it isn't the amount.
const STUBBORN: u8 = 4;
/// Then it is let alone for this long.
const IMMUNE: Duration = Duration::from_secs(60);
/// The first wait before more is tried, and the longest.
const HOLD: Duration = Duration::from_secs(5);
const HOLD_MAX: Duration = Duration::from_secs(60);
/// How much more at each look.
const MORE: f64 = 1.08;
/// The link is wide enough where it carries this many times the stream.
const WIDE: f64 = 1.25;
const LINK_MIN_BPS: f64 = 100_000.0;
const VIDEO_MIN_BPS: u64 = 50_000;
/// Video this much behind is left out up to the next key frame.
pub(super) const LAG_MAX: Duration = Duration::from_secs(2);
/// What leaves at once: 20 ms of the link.
const CHUNKS_PER_SECOND: u64 = 50;
const CHUNK_PACKET: u64 = 1200;

/// What is known of one viewer's link.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    seen: Option<Look>,
    bad: u8,
    narrow: Option<Narrow>,
    hold: Duration,
    /// When it was wide again, or found to be lossy at any rate.
    left: Option<Instant>,
    immune_until: Option<Instant>,
    /// When its next video packet may leave.
    pub(super) due: Option<Instant>,
}

#[derive(Debug)]
struct Narrow {
    bps: f64,
    audio_bps: f64,
    /// No loss since.
    good_since: Instant,
    stubborn: u8,
}

/// Counts at one moment; two of them make rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// The last report's highest sequence number and cumulative loss, of the video.
    pub(super) highest: u32,
    pub(super) lost: i32,
    /// Sent to it in all, repairs too.
    pub(super) bytes: u64,
    /// Payload sent for the first time, of video and of audio; these wrap.
    pub(super) video_bytes: u32,
    pub(super) audio_bytes: u32,
    pub(super) remb_bps: Option<u64>,
    pub(super) stream_bps: u64,
}

impl Look {
    /// The stream's rate; not known in its first second.
    fn stream(&self) -> f64 {
        match self.stream_bps {
            0 => f64::INFINITY,
            bps => bps as f64,
        }
    }
}

impl Thinning {
    /// The pace of its video; None where it gets all of it with everyone else.
    pub(super) fn pace_bps(&self) -> Option<u64> {
        let narrow = self.narrow.as_ref()?;
        let bps = narrow.bps - narrow.audio_bps;
        Some(VIDEO_MIN_BPS.max(bps as u64))
    }

    /// Packets that leave at once.
    pub(super) fn chunk_packets(&self) -> usize {
        self.pace_bps().map_or(ROUND_PACKETS, |bps| {
            let packets = bps / 8 / CHUNKS_PER_SECOND / CHUNK_PACKET;
            packets.clamp(1, ROUND_PACKETS as u64) as usize
        })
    }

    /// Takes what is known now. True where the link has just turned out to be too narrow.
    pub(super) fn look(&mut self, look: Look) -> bool {
        let Some(seen) = self.seen else {
            self.seen = Some(look);
            return false;
        };
        let elapsed = look.at.saturating_duration_since(seen.at);
        let expected = look.highest.wrapping_sub(seen.highest);
        if elapsed < LOOK || expected < LOOK_PACKETS {
            return false;
        }
        self.seen = Some(look);
        if expected > i32::MAX as u32 {
            // An older report, or nonsense.
            return false;
        }
        let lost = look.lost.saturating_sub(seen.lost).max(0);
        let loss = (f64::from(lost) / f64::from(expected)).min(1.0);
        let bps = |bytes: u64| bytes as f64 * 8.0 / elapsed.as_secs_f64();
        let sent = bps(look.bytes.saturating_sub(seen.bytes));
        let audio = bps(look.audio_bytes.wrapping_sub(seen.audio_bytes).into());
        let video = bps(look.video_bytes.wrapping_sub(seen.video_bytes).into());
        if self.narrow.is_some() {
            self.while_narrow(&look, loss, sent, audio);
            return false;
        }
        let remb = look.remb_bps.map(|bps| bps as f64);
        let low = remb.filter(|remb| *remb < sent * REMB_BAD);
        self.bad = match (loss >= LOSS_BAD, low) {
            (true, _) => self.bad + BY_LOSS,
            (_, Some(_)) => self.bad + BY_REMB,
            _ => 0,
        };
        // What is sent again is lost more often than the reports tell: it proves nothing.
        let stream = look.stream();
        if (video + audio) * (1.0 - loss) > stream * WIDE {
            // More than the stream gets through: it was a burst that did not.
            self.bad = 0;
            return false;
        }
        if self.bad < BAD_ENOUGH || self.immune_until.is_some_and(|until| look.at < until) {
            self.bad = self.bad.min(BAD_ENOUGH);
            return false;
        }
        self.bad = 0;
        let soon = |left: Instant| look.at.saturating_duration_since(left) < HOLD_MAX;
        self.hold = match self.left {
            Some(left) if soon(left) => (self.hold * 2).min(HOLD_MAX),
            _ => HOLD,
        };
        let through = (sent * (1.0 - loss)).min(stream) * USED;
        self.narrow = Some(Narrow {
            bps: low
                .map_or(through, |low| low.min(through))
                .max(LINK_MIN_BPS),
            audio_bps: audio,
            good_since: look.at,
            stubborn: 0,
        });
        true
    }

    fn while_narrow(&mut self, look: &Look, loss: f64, sent: f64, audio: f64) {
        let through = sent * (1.0 - loss) * USED;
        let Some(narrow) = &mut self.narrow else {
            return;
        };
        narrow.audio_bps = audio;
        if loss >= LOSS_FULL {
            narrow.stubborn += 1;
            // Where it was sent less than it may be, what got through tells little.
            let may = match sent < narrow.bps * SENT_FULL {
                true => narrow.bps * (1.0 - loss),
                false => through,
            };
            narrow.bps = narrow.bps.min(may).max(LINK_MIN_BPS);
            if narrow.good_since < look.at {
                self.hold = (self.hold * 2).min(HOLD_MAX);
            }
            narrow.good_since = look.at + LOOK;
        } else {
            narrow.stubborn = 0;
            let good_for = look.at.saturating_duration_since(narrow.good_since);
            if loss < LOSS_GOOD && good_for >= self.hold {
                narrow.bps *= MORE;
            }
        }
        let stubborn = narrow.stubborn >= STUBBORN;
        if stubborn || narrow.bps > look.stream() * WIDE {
            self.narrow = None;
            self.left = Some(look.at);
            self.immune_until = stubborn.then(|| look.at + IMMUNE);
        }
    }
}

impl Shard {
    /// Judges the link of the viewer at `index` by its last reports.
    pub(super) fn judge_link(&mut self, index: usize, now: Instant) {
        let entry = &mut self.viewers[index];
        let Some(playing) = self.streams.get(&entry.stream) else {
            return;
        };
        let feedback = entry.viewer.feedback();
        let Some(ReportBlock {
            highest_seq,
            cumulative_lost,
            ..
        }) = feedback.video_report()
        else {
            return;
        };
        let look = Look {
            at: now,
            highest: *highest_seq,
            lost: *cumulative_lost,
            bytes: entry.bytes,
            video_bytes: entry.viewer.octets(Media::Video),
            audio_bytes: entry.viewer.octets(Media::Audio),
            remb_bps: feedback.remb_bps(),
            stream_bps: playing.stream.stats().bitrate_bps,
        };
        if entry.thinning.look(look) {
            // What it was sent so far is full of holes: on with the next key frame.
            entry.start.pause();
            entry.viewer.stop(Media::Video);
            entry.in_frame[Media::Video as usize] = false;
            let key = entry.key;
            self.joining.remove(key);
        }
    }
}
