//! The player of [`super::narrow_sim`]: it reports and asks as a browser does, and shows what it can decode.

use std::time::{Duration, Instant};

use super::narrow_sim::{Packet, Sent};
use crate::peer::Received;

/// When a lost packet is asked for: first, again, and how often.
const ASK_AFTER: Duration = Duration::from_millis(10);
const ASK_AGAIN: Duration = Duration::from_millis(60);
const ASKS: u32 = 10;
/// How often it reports of its audio.
const AUDIO_REPORTS: Duration = Duration::from_secs(5);
/// Without a picture for so long it asks for a key frame.
const NO_PICTURE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) tracks: [Option<Received>; 2],
    /// When the last sender report left, and how long ago it came.
    pub(super) rtt: Option<Instant>,
    pub(super) held: Duration,
    pub(super) wants_keyframe: bool,
}

struct Missing {
    number: usize,
    ask_at: Instant,
    asks: u32,
}

pub(super) struct Player {
    /// When each frame was shown.
    pub(super) shown: Vec<Instant>,
    pub(super) audio: u64,
    audio_end: u64,
    /// Media bytes that came for the first time.
    pub(super) good_bytes: u64,
    received: Vec<bool>,
    /// Came the first time they were sent.
    in_time: u64,
    highest: usize,
    missing: Vec<Missing>,
    /// The next packet that the decoder needs; without its key frame, the first of any.
    next: usize,
    broken: bool,
    report_at: Instant,
    /// When the next one is about audio too, and what was said of it last.
    audio_report: (Instant, Option<Received>),
    random: u64,
    sender_report: Option<(Instant, Instant)>,
    keyframe_at: Instant,
}

impl Player {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        Self {
            shown: Vec::new(),
            audio: 0,
            audio_end: 0,
            audio_report: (now + AUDIO_REPORTS, None),
            good_bytes: 0,
            received: Vec::new(),
            in_time: 0,
            highest: 0,
            missing: Vec::new(),
            next: 0,
            broken: false,
            report_at: now + Duration::from_millis(700),
            random: seed,
            sender_report: None,
            keyframe_at: now + NO_PICTURE,
        }
    }

    pub(super) fn take(&mut self, packet: Packet, sent: &[Sent], now: Instant) {
        let (number, again) = match packet {
            Packet::Audio(number) => {
                self.audio_end = number + 1;
                self.audio += 1;
                self.good_bytes += 160 + 56;
                return;
            }
            Packet::Report(left) => return self.sender_report = Some((left, now)),
            Packet::Video(number, again) => (number, again),
        };
        self.received.resize(sent.len(), false);
        self.in_time += u64::from(!again);
        if std::mem::replace(&mut self.received[number], true) {
            return;
        }
        self.good_bytes += sent[number].len as u64 + 56;
        self.missing.retain(|missing| missing.number != number);
        for number in self.highest + 1..number {
            self.missing.push(Missing {
                number,
                ask_at: now + ASK_AFTER,
                asks: 0,
            });
        }
        self.highest = self.highest.max(number);
        while self.show_one(sent, now) {}
    }

    /// Shows the next frame, or the next key frame that is complete.
    fn show_one(&mut self, sent: &[Sent], now: Instant) -> bool {
        let keys = (self.next..=self.highest).filter(|at| sent[*at].first && sent[*at].key);
        let from = (!self.broken).then_some(self.next);
        let Some(end) = from
            .into_iter()
            .chain(keys)
            .find_map(|first| self.complete(first, sent))
        else {
            return false;
        };
        self.next = end + 1;
        self.broken = false;
        self.missing.retain(|missing| missing.number > end);
        self.shown.push(now);
        self.keyframe_at = now + NO_PICTURE;
        true
    }

    /// The last packet of the frame that begins here, if all of it came.
    fn complete(&self, first: usize, sent: &[Sent]) -> Option<usize> {
        let begins = sent.get(first)?.first && (first > 0 || sent[first].key);
        let rest = self.received.get(first..=self.highest)?;
        let got = rest.iter().take_while(|got| **got).count();
        let end = (first..first + got).find(|at| sent[*at].last)?;
        begins.then_some(end)
    }

    /// What is asked for now.
    pub(super) fn wanted(&mut self, now: Instant) -> impl Iterator<Item = usize> {
        let mut wanted = Vec::new();
        self.missing.retain_mut(|missing| {
            if missing.ask_at <= now {
                wanted.push(missing.number);
                missing.ask_at = now + ASK_AGAIN;
                missing.asks += 1;
            }
            missing.asks < ASKS
        });
        wanted.into_iter()
    }

    /// Chromium reports every half to one and a half seconds, and whenever it asks for packets.
    pub(super) fn report(&mut self, asks: bool, now: Instant) -> Option<Report> {
        let wants_keyframe = now >= self.keyframe_at;
        if now < self.report_at && !wants_keyframe && !asks {
            return None;
        }
        if wants_keyframe {
            self.keyframe_at = now + NO_PICTURE;
        } else {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005) + 97;
            self.report_at = now + Duration::from_millis(500 + (self.random >> 33) % 1000);
        }
        if now >= self.audio_report.0 {
            let audio = Received {
                highest: (self.audio_end as u32).wrapping_sub(1),
                lost: (self.audio_end - self.audio) as i32,
            };
            self.audio_report = (now + AUDIO_REPORTS, Some(audio));
        }
        let video = Received {
            highest: self.highest as u32,
            lost: (self.highest as i64 + 1 - self.in_time as i64) as i32,
        };
        // Each tells of one round trip.
        let sender_report = self.sender_report.take();
        Some(Report {
            tracks: [Some(video), self.audio_report.1],
            rtt: sender_report.map(|(left, _)| left),
            held: sender_report.map_or(Duration::ZERO, |(_, came)| now - came),
            wants_keyframe,
        })
    }
}
