//! One clock for a stream's whole life, whatever FFmpegs come and go: RTP timestamps of both media on one line.
//!
//! A *run* is one FFmpeg: new SSRCs, new random timestamp bases. Its legs were given the same start time T0, so that
//! its sender reports satisfy `rtp = base + (ntp − T0)·rate` (T0 cut to milliseconds, as FFmpeg does). With one report per
//! medium the FFmpeg's own time of a packet is known exactly, in ticks:
//!
//! ```text
//! pts = rtp − base,   base = sr.rtp − (sr.ntp − T0)·rate          (mod 2³², read as a signed number)
//! ```
//!
//! A *segment* is one run on our line: both media are moved by the same whole number of milliseconds D, which is a
//! whole number of ticks of 48 kHz and of 90 kHz, so nothing is rounded and lip sync stays what FFmpeg made it:
//!
//! ```text
//! line = pts + D·rate/1000
//! ```
//!
//! D is chosen once, at the first packet of the segment, so that the packet stands at the time that passed since the
//! stream's first packet (the *origin*), and behind everything sent before. Wall time of the origin is the one constant
//! of [`Stream::timestamp_at`](super::Stream::timestamp_at); a sender report of ours is `line(at) = (at − origin)·rate` for both media.
//!
//! Without a report (or with one that makes no sense beside the other medium's) a packet is placed by its arrival.
//!
//! A *publisher* is not told T0, and its first reports come up to a second after its first packets: both media are placed
//! by arrival. Its reports then tell how far each medium's line is from the publisher's own wall clock; where the two
//! differ the picture is out of sync, and video moves until they are equal, at most a quarter of each frame's step, so
//! that no timestamp goes back and none jumps. This goes on for ever: sound cards and system clocks drift apart. Where its
//! timestamps jump, or turn out to have stood still in a pause, the line goes by arrival.

use std::time::{Duration, Instant};

use super::report::SenderReport;
use super::stall::Stall;
use crate::rtp::Media;

/// Joins the segment of the other medium if that one sent this recently; else it is another run's.
const SAME_RUN: Duration = Duration::from_secs(2);

/// Media of one run further apart than this are no pair: the report is wrong.
const MAX_APART_US: i64 = 60_000_000;

/// A run's later medium may start this much before its first (encoder delay); room is left for it.
const HEAD_START_US: i64 = 3_000_000;

/// A publisher's timestamps that go further than the time that passed by more than this, or back by more, have jumped: a
/// pause goes no further than the clock, and B-frames back by a few frames only.
const JUMP_AHEAD_US: i64 = 2_000_000;
const JUMP_BACK_US: i64 = 1_000_000;

/// Video out of sync by less than this is left alone: reports are no more exact.
const SYNC_TOLERANCE_US: i64 = 5_000;

/// The line both media of a stream share.
#[derive(Debug)]
pub(super) struct Timeline {
    start_time_us: i64,
    origin: Option<Instant>,
    segment: Option<Segment>,
    /// Furthest point reached by either medium, microseconds.
    furthest_us: Option<i64>,
    /// Of a publisher: what its reports say per medium, line less publisher's wall clock, microseconds.
    follows: Option<[Option<i64>; 2]>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    shift_ms: i64,
    /// D stands on a report: a later medium can use its own.
    exact: bool,
    /// Per medium: where it is (microseconds on the line) and when that was.
    latest: [Option<(i64, Instant)>; 2],
}

/// One medium's place on the line.
#[derive(Debug)]
pub(super) struct TrackLine {
    media: Media,
    segment: u64,
    rate: i64,
    last_rtp: u32,
    ticks: i64,
    furthest: Option<i64>,
    last_at: Option<Instant>,
    stall: Stall,
}

/// How a packet's time stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The same, or later.
    Forwards,
    /// Earlier (B-frames).
    Back,
    /// Out of all proportion: the packet was placed by its arrival.
    Jump,
}

impl Timeline {
    pub(super) fn new(start_time_us: u64) -> Self {
        Self {
            start_time_us: whole_ms(start_time_us),
            origin: None,
            segment: None,
            furthest_us: None,
            follows: None,
        }
    }

    /// A publisher's clock counts, not a start time.
    pub(super) fn follow_reports(&mut self) {
        self.follows = Some([None; 2]);
    }

    pub(super) fn follows_reports(&self) -> bool {
        self.follows.is_some()
    }

    /// A sender report of the track's sender, after its run began.
    pub(super) fn reported(&mut self, track: &TrackLine, report: SenderReport) {
        let Some(offsets) = &mut self.follows else {
            return;
        };
        let since = report.rtp.wrapping_sub(track.last_rtp) as i32;
        let line_us = to_us(track.ticks + i64::from(since), track.rate);
        offsets[track.media as usize] = Some(line_us.saturating_sub(report.wall_us));
    }

    /// Runs from now on count from another start time.
    pub(super) fn starts_at(&mut self, start_time_us: u64) {
        self.start_time_us = whole_ms(start_time_us);
        // Another publisher has another clock.
        self.follows = self.follows.map(|_| [None; 2]);
        if let Some(segment) = &mut self.segment {
            // No medium of the next run joins this one.
            segment.latest = [None; 2];
        }
    }

    /// When the stream's first packet came.
    pub(super) fn origin(&self) -> Option<Instant> {
        self.origin
    }

    /// The first packet of a new sender of one medium.
    pub(super) fn open_run(
        &mut self,
        track: &mut TrackLine,
        rtp: u32,
        report: Option<SenderReport>,
        now: Instant,
    ) {
        let now_us = micros_since(*self.origin.get_or_insert(now), now);
        if let Some(offsets) = &mut self.follows {
            offsets[track.media as usize] = None;
        }
        let report = report.filter(|_| self.follows.is_none());
        let pts = report.map(|report| self.pts(track.rate, rtp, report));
        let joins = self.segment.as_ref().is_some_and(|segment| {
            segment.latest[track.media as usize].is_none()
                && segment.latest[other(track.media)]
                    .is_some_and(|(_, at)| now.saturating_duration_since(at) <= SAME_RUN)
        });
        let ticks = if joins {
            self.join(track, pts, now)
        } else {
            let pts = pts.unwrap_or(0);
            self.begin(to_us(pts, track.rate), now_us, report.is_some());
            pts + self.shift_ms() * track.rate / 1000
        };
        // Never back behind what viewers have seen, even if the two media of a run disagree about its start.
        let ticks = track
            .furthest
            .map_or(ticks, |furthest| ticks.max(furthest + 1));
        track.segment = self.segment.as_ref().map_or(0, |segment| segment.number);
        track.last_rtp = rtp;
        track.ticks = ticks;
        track.stall.forget();
        self.note(track, now);
    }

    /// The place on the line of a further packet, and how its time stands to the one before.
    pub(super) fn advance(&mut self, track: &mut TrackLine, rtp: u32, now: Instant) -> (u32, Step) {
        let step = rtp.wrapping_sub(track.last_rtp) as i32;
        track.last_rtp = rtp;
        let passed_us = track.last_at.map_or(0, |at| micros_since(at, now));
        let step_us = to_us(i64::from(step), track.rate);
        let mut kind = match step_us {
            us if us > passed_us + JUMP_AHEAD_US || us < -JUMP_BACK_US => Step::Jump,
            // Sound has no B-frames.
            us if us < 0 && self.follows_reports() && track.media == Media::Audio => Step::Jump,
            us if us < 0 => Step::Back,
            _ => Step::Forwards,
        };
        let by_clock = i64::from(step);
        let by_arrival = self.follows.is_some().then(|| match kind {
            Step::Jump => Some(to_ticks(passed_us, track.rate).max(1)),
            _ => {
                let owed_us = track.stall.step(step_us, passed_us, now)?;
                Some(by_clock + to_ticks(owed_us, track.rate))
            }
        });
        match (by_arrival.flatten(), &mut self.follows) {
            (Some(ticks), Some(offsets)) => {
                kind = Step::Jump;
                track.stall.forget();
                // Its reports until now spoke of the time before.
                offsets[track.media as usize] = None;
                track.ticks += ticks;
            }
            _ => {
                track.ticks += by_clock;
                self.resync(track, step);
            }
        }
        self.note(track, now);
        (track.ticks as u32, kind)
    }

    /// Moves video a little towards where audio is, by the publisher's reports.
    fn resync(&mut self, track: &mut TrackLine, step: i32) {
        let Some([Some(video), Some(audio)]) = &mut self.follows else {
            return;
        };
        let owed_us = audio.saturating_sub(*video);
        let sensible = (SYNC_TOLERANCE_US..=MAX_APART_US).contains(&owed_us.saturating_abs());
        if track.media != Media::Video || step <= 0 || !sensible {
            return;
        }
        let most = i64::from(step) / 4;
        let moved = to_ticks(owed_us, track.rate).clamp(-most, most);
        track.ticks += moved;
        *video += to_us(moved, track.rate);
    }

    fn begin(&mut self, pts_us: i64, now_us: i64, exact: bool) {
        let earliest_us = pts_us - pts_us.clamp(0, HEAD_START_US);
        let mut shift_us = now_us - pts_us;
        if let Some(furthest_us) = self.furthest_us {
            shift_us = shift_us.max(furthest_us.saturating_add(1000 - earliest_us));
        }
        let number = self
            .segment
            .as_ref()
            .map_or(1, |segment| segment.number + 1);
        self.segment = Some(Segment {
            number,
            shift_ms: (shift_us + 999).div_euclid(1000),
            exact,
            latest: [None; 2],
        });
    }

    /// The later medium of a run: exact where both have reports, else as far after the other as it came.
    fn join(&self, track: &TrackLine, pts: Option<i64>, now: Instant) -> i64 {
        let Some((segment, (other_us, other_at))) = self
            .segment
            .as_ref()
            .and_then(|segment| Some((segment, segment.latest[other(track.media)]?)))
        else {
            return 0;
        };
        let shift = segment.shift_ms * track.rate / 1000;
        if let Some(pts) = pts.filter(|_| segment.exact) {
            // A pts is known modulo 2^32 ticks only: 13 h of video, 24 h of audio. The other medium tells which.
            let near = to_ticks(other_us, track.rate) - shift;
            let turns = (near - pts + (1 << 31)).div_euclid(1 << 32);
            let pts = pts + turns * (1 << 32);
            if to_us(pts - near, track.rate).abs() <= MAX_APART_US {
                return pts + shift;
            }
        }
        to_ticks(other_us + micros_since(other_at, now), track.rate)
    }

    fn pts(&self, rate: i64, rtp: u32, report: SenderReport) -> i64 {
        let elapsed_us = i128::from(report.wall_us) - i128::from(self.start_time_us);
        let elapsed = elapsed_us * i128::from(rate);
        let base = report
            .rtp
            .wrapping_sub((elapsed + 500_000).div_euclid(1_000_000) as u32);
        i64::from(rtp.wrapping_sub(base) as i32)
    }

    fn note(&mut self, track: &mut TrackLine, now: Instant) {
        let at_us = to_us(track.ticks, track.rate);
        track.furthest = track.furthest.max(Some(track.ticks));
        track.last_at = Some(now);
        self.furthest_us = self.furthest_us.max(Some(at_us));
        // What an older run still sends says nothing about this segment.
        let current = self.segment.as_mut();
        if let Some(segment) = current.filter(|segment| segment.number == track.segment) {
            segment.latest[track.media as usize] = Some((at_us, now));
        }
    }

    fn shift_ms(&self) -> i64 {
        self.segment.as_ref().map_or(0, |segment| segment.shift_ms)
    }
}

impl TrackLine {
    pub(super) fn new(media: Media, clock_rate: u32) -> Self {
        Self {
            media,
            segment: 0,
            rate: i64::from(clock_rate),
            last_rtp: 0,
            ticks: 0,
            furthest: None,
            last_at: None,
            stall: Stall::default(),
        }
    }

    /// The timestamp of the last packet.
    pub(super) fn timestamp(&self) -> u32 {
        self.ticks as u32
    }
}

/// FFmpeg cuts its start time to milliseconds.
fn whole_ms(start_time_us: u64) -> i64 {
    let start_time_us = i64::try_from(start_time_us).unwrap_or(i64::MAX);
    start_time_us - start_time_us % 1000
}

/// Ticks of a hostile sender may run far; a place beyond a thousand years is cut to that.
fn bounded(value: i128) -> i64 {
    const LIMIT: i64 = 1 << 55;
    i64::try_from(value).map_or(LIMIT, |value| value.clamp(-LIMIT, LIMIT))
}

fn to_us(ticks: i64, rate: i64) -> i64 {
    bounded(i128::from(ticks) * 1_000_000 / i128::from(rate))
}

fn to_ticks(us: i64, rate: i64) -> i64 {
    bounded(i128::from(us) * i128::from(rate) / 1_000_000)
}

fn other(media: Media) -> usize {
    1 - media as usize
}

fn micros_since(earlier: Instant, later: Instant) -> i64 {
    i64::try_from(later.saturating_duration_since(earlier).as_micros()).unwrap_or(i64::MAX)
}
