//! What a viewer's reports say, from one look to the next: how much was lost, how much got through, how the queue grew.

use std::time::{Duration, Instant};

use super::queueing::Queueing;
use crate::peer::Received;

/// Reports closer together than this are taken as one, and so are those of few packets. Chromium reports whenever it
/// asks for packets.
const LOOK: Duration = Duration::from_millis(400);
const LOOK_PACKETS: u32 = 10;
/// Of a link known to be narrow there is time to see more.
const NARROW_LOOK: Duration = Duration::from_millis(900);

/// Counts at one moment; two of them make rates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// What was reported last of video and of audio.
    pub(super) tracks: [Option<Received>; 2],
    /// The video's next sequence number.
    pub(super) sent_seq: u16,
    /// The round trip it tells of.
    pub(super) rtt: Option<Duration>,
    /// Bytes sent to it in all, repairs and headers too.
    pub(super) bytes: u64,
    /// Bytes sent for the first time, of video and of audio, headers too; these wrap.
    pub(super) video_bytes: u32,
    pub(super) audio_bytes: u32,
    /// An estimate that came since the last look.
    pub(super) remb_bps: Option<u64>,
    pub(super) stream_bps: u64,
}

/// What happened between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Of the video.
    pub(super) packets: f64,
    pub(super) lost: f64,
    /// Of the audio, since this time.
    pub(super) audio: (u32, u32),
    pub(super) audio_from: Instant,
    pub(super) loss: f64,
    pub(super) sent_bps: f64,
    pub(super) through_bps: f64,
    /// Of the queue, a part of the time; not below zero.
    pub(super) growth: f64,
    pub(super) first_bps: f64,
    pub(super) audio_bps: f64,
}

impl Look {
    /// The stream's rate; not known in its first second.
    pub(super) fn stream(&self) -> f64 {
        match self.stream_bps {
            0 => f64::INFINITY,
            bps => bps as f64,
        }
    }
}

/// Turns reports into looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<Look>,
    /// A round trip that came since.
    rtt: Option<Duration>,
    /// When audio was reported last.
    audio_from: Option<Instant>,
    pub(super) queueing: Queueing,
}

impl Looks {
    /// Nothing was reported yet: what the first report is held against.
    pub(super) fn begin(&mut self, at: Instant, next_seqs: [u16; 2]) {
        self.last = Some(Look {
            at,
            tracks: next_seqs.map(|next| {
                Some(Received {
                    highest: u32::from(next).wrapping_sub(1),
                    lost: 0,
                })
            }),
            sent_seq: 0,
            rtt: None,
            bytes: 0,
            video_bytes: 0,
            audio_bytes: 0,
            remb_bps: None,
            stream_bps: 0,
        });
    }

    /// What happened since the look before; None where that is too little to tell.
    pub(super) fn take(&mut self, look: &Look, narrow: bool) -> Option<Seen> {
        self.rtt = look.rtt.or(self.rtt);
        let Some(before) = self.last else {
            self.last = Some(*look);
            return None;
        };
        let elapsed = look.at.saturating_duration_since(before.at);
        let mut look = *look;
        let [video, audio] = [0, 1].map(|track| {
            let (now, then) = (&mut look.tracks[track], before.tracks[track]);
            *now = now.or(then);
            between(then.unwrap_or_default(), now.unwrap_or_default())
        });
        let few = |video: (u32, u32)| video.0 < LOOK_PACKETS;
        let look_time = match narrow {
            true => NARROW_LOOK,
            false => LOOK,
        };
        if elapsed < look_time || video.is_some_and(few) {
            return None;
        }
        self.last = Some(look);
        let (video, audio) = (video?, audio.unwrap_or_default());
        let mut audio_from = self.audio_from.unwrap_or(before.at);
        if audio.0 > 0 {
            audio_from = self.audio_from.replace(look.at).unwrap_or(before.at);
        }
        let growth = self.queueing.take(self.rtt.take(), look.at, narrow);
        let growth = growth.max(0.0);
        let loss = f64::from(video.1) / f64::from(video.0);
        let bps = |bytes: u64| bytes as f64 * 8.0 / elapsed.as_secs_f64();
        let sent_bps = bps(look.bytes.saturating_sub(before.bytes));
        let audio_bps = bps(look.audio_bytes.wrapping_sub(before.audio_bytes).into());
        let video_bps = bps(look.video_bytes.wrapping_sub(before.video_bytes).into());
        Some(Seen {
            packets: video.0.into(),
            lost: video.1.into(),
            audio,
            audio_from,
            loss,
            sent_bps,
            // What was sent in a second took so much longer to arrive.
            through_bps: sent_bps * (1.0 - loss) / (1.0 + growth),
            growth,
            first_bps: video_bps + audio_bps,
            audio_bps,
        })
    }
}

/// Packets from one report to the next, and how many of them were lost; None for nonsense.
fn between(before: Received, now: Received) -> Option<(u32, u32)> {
    let expected = now.highest.wrapping_sub(before.highest);
    let lost = now.lost.saturating_sub(before.lost).max(0).cast_unsigned();
    // A round of sequence numbers and more: an older report.
    (expected <= u32::from(u16::MAX)).then_some((expected, lost.min(expected)))
}
