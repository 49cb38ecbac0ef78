//! One medium of a stream on its way in: gate, verification, line, gather, in this order; frame batches come out.

mod complaints;
mod unproven;

use std::time::Instant;

use super::batch::FrameBatch;
use super::gate::{Admission, Gate};
use super::gather::{Closed, Gather};
use super::line::{Step, Timeline, TrackLine};
use super::params::ParameterSets;
use super::reorder::{Early, Reorder};
use super::report::{Reports, SenderReport};
use super::verify::{Start, Verifier};
use super::warnings::Warning;
use super::{Stream, TrackExpectation};
use crate::rtp::Media;
use crate::rtp::codec::pictures::PictureLine;
use crate::rtp::codec::vp9_describe::{Describer, GROWTH};
use crate::rtp::codec::{Codec, TrackFacts};
use crate::rtp::header::Header;

/// Closed batches held back while a run has still to prove its codec: the first key frame, however large.
const HELD_MAX: usize = 64;

/// What the tracks of a stream share while a packet goes through one of them.
pub(super) struct Around<'a> {
    pub(super) stream: &'a Stream,
    pub(super) timeline: &'a mut Timeline,
    pub(super) reports: &'a Reports,
    pub(super) out: &'a mut Vec<FrameBatch>,
}

pub(super) struct Track {
    media: Media,
    pub(super) expected: TrackExpectation,
    pub(super) gate: Gate,
    line: TrackLine,
    verifier: Verifier,
    gather: Gather,
    params: ParameterSets,
    prepend_params: bool,
    describer: Describer,
    pictures: PictureLine,
    held: Vec<Closed>,
    reorder: Reorder,
    refused_ssrc: Option<u32>,
    next_seq: u64,
    /// The sender's sequence number that went out last, within this run.
    last_sent: Option<u64>,
    runs: u64,
}

impl Track {
    pub(super) fn new(media: Media, expected: TrackExpectation) -> Self {
        Self {
            media,
            expected,
            gate: Gate::default(),
            line: TrackLine::new(media, expected.codec.clock_rate()),
            verifier: Verifier::new(expected.codec, false),
            gather: Gather::default(),
            params: ParameterSets::default(),
            prepend_params: false,
            describer: Describer::default(),
            pictures: PictureLine::default(),
            held: Vec::new(),
            reorder: Reorder::default(),
            refused_ssrc: None,
            next_seq: 0,
            last_sent: None,
            runs: 0,
        }
    }

    /// A publisher sends it.
    pub(super) fn hurry(&mut self) {
        self.gather.hurry();
    }

    /// Part of a frame has come, the rest is on its way.
    pub(super) fn is_unfinished(&self) -> bool {
        self.media == Media::Video && self.gather.is_unfinished()
    }

    /// Nothing more is waited for: a part of a frame leaves.
    pub(super) fn flush(&mut self, now: Instant, around: &mut Around<'_>) {
        if self.gather.closes_at().is_some() {
            self.close(now, around);
        }
    }

    /// The next FFmpeg is told something else. What an unproven run has gathered goes; the line goes on.
    pub(super) fn expect(&mut self, expected: TrackExpectation, stream: &Stream) {
        if expected.codec != self.expected.codec {
            self.drop_unproven(stream);
            self.gather.clear();
            self.verifier = Verifier::new(expected.codec, false);
            self.params = ParameterSets::default();
        }
        self.gate.open();
        self.expected = expected;
        self.forget_complaints(stream);
    }

    /// One packet with the track's own payload type. True where a restart of the sender was taken over.
    pub(super) fn packet(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
        around: &mut Around<'_>,
    ) -> bool {
        let counters = around.stream.counters();
        match self.gate.admit(header.ssrc, header.seq, now) {
            Admission::InOrder { seq } => {
                if self.reorder.waits_before(seq) {
                    self.give_up_hole(now, around);
                }
                self.step(seq, header, payload, now, around);
                self.caught_up(now, around);
            }
            Admission::Early { seq } => {
                let early = Early {
                    seq,
                    header: header.clone(),
                    payload: payload.into(),
                };
                if !self.reorder.hold(early, now) {
                    counters.leg_drops.inc();
                }
            }
            Admission::NewRun { seq } => {
                self.give_up_hole(now, around);
                self.begin_run(header, now, around);
                self.take(seq, header, payload, now, around);
                return self.runs > 1;
            }
            Admission::SecondSsrc => {
                counters.leg_second_ssrc.inc();
                counters.leg_drops.inc();
                self.refused_ssrc = Some(header.ssrc);
            }
            Admission::Stale => counters.leg_drops.inc(),
        }
        false
    }

    /// A sender report, perhaps of this track's sender.
    pub(super) fn reported(&mut self, report: SenderReport, timeline: &mut Timeline) {
        if self.gate.speaks(report.ssrc) {
            timeline.reported(&self.line, report);
        }
    }

    /// When silence closes the open batch, or a hole is given up.
    pub(super) fn due(&self) -> Option<Instant> {
        let hole = self.reorder.gives_up_at();
        self.gather.closes_at().into_iter().chain(hole).min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, around: &mut Around<'_>) {
        let given_up = self.reorder.gives_up_at().is_some_and(|at| at <= now);
        if given_up && let Some(last) = self.give_up_hole(now, around) {
            self.gate.reached(last);
        }
        if self.gather.closes_at().is_some_and(|at| at <= now) {
            self.close(now, around);
        }
    }

    /// Packets that waited for the one just taken.
    fn caught_up(&mut self, now: Instant, around: &mut Around<'_>) {
        while let Some(early) = self.gate.next_seq().and_then(|seq| self.reorder.take(seq)) {
            self.gate.reached(early.seq);
            self.step(early.seq, &early.header, &early.payload, now, around);
        }
    }

    /// Takes what waits behind a hole that is given up; the last sequence number of it.
    fn give_up_hole(&mut self, now: Instant, around: &mut Around<'_>) -> Option<u64> {
        let mut last = None;
        for early in self.reorder.take_all() {
            last = Some(early.seq);
            self.step(early.seq, &early.header, &early.payload, now, around);
        }
        last
    }

    fn step(
        &mut self,
        seq: u64,
        header: &Header,
        payload: &[u8],
        now: Instant,
        around: &mut Around<'_>,
    ) {
        self.advance(header.timestamp, now, around);
        self.take(seq, header, payload, now, around);
    }

    fn begin_run(&mut self, header: &Header, now: Instant, around: &mut Around<'_>) {
        self.close(now, around);
        self.drop_unproven(around.stream);
        let report = around.reports.of(header.ssrc);
        around
            .timeline
            .open_run(&mut self.line, header.timestamp, report, now);
        // A run that was let in late has lost its first key frame: the next one may be a whole group away.
        let late = self.refused_ssrc.take() == Some(header.ssrc);
        self.verifier = Verifier::new(self.expected.codec, late);
        self.params = ParameterSets::default();
        self.describer.new_run();
        self.pictures.new_run();
        self.last_sent = None;
        self.runs += 1;
        self.forget_complaints(around.stream);
    }

    fn advance(&mut self, rtp: u32, now: Instant, around: &mut Around<'_>) {
        let before = self.line.timestamp();
        let (timestamp, step) = around.timeline.advance(&mut self.line, rtp, now);
        if timestamp == before {
            return;
        }
        if step == Step::Jump && around.timeline.follows_reports() {
            around.stream.counters().publish_jumps.inc();
        }
        self.close(now, around);
        if self.expected.codec != Codec::Opus {
            self.drop_unproven(around.stream);
        }
        self.verifier.next_frame();
        if step == Step::Back && self.media == Media::Video && self.verifier.is_verified() {
            self.warn(Warning::BFrames, around.stream);
        }
    }

    fn take(
        &mut self,
        seq: u64,
        header: &Header,
        payload: &[u8],
        now: Instant,
        around: &mut Around<'_>,
    ) {
        around.stream.meter().took(payload.len());
        let proven = self.verifier.is_verified();
        let (facts, start) = match self.verifier.packet(seq, header.timestamp, payload, now) {
            Ok(seen) => seen,
            Err(why) => {
                around.stream.counters().leg_codec_mismatch.inc();
                around.stream.counters().leg_drops.inc();
                if !self.verifier.is_verified() {
                    self.drop_unproven(around.stream);
                    self.warn_mismatch(why.0, around.stream);
                }
                return;
            }
        };
        if !proven && self.verifier.is_verified() {
            self.release(now, around);
        }
        let headers = facts.sequence_header || facts.picture_header || facts.other_header;
        if headers {
            self.params.learn(self.expected.codec, payload);
            if self.verifier.is_verified() {
                self.publish(around.stream);
            }
        }
        let timestamp = self.line.timestamp();
        if self.gather.is_over(seq, timestamp, payload.len() + GROWTH) {
            self.close(now, around);
        }
        let payload = match self.expected.codec {
            Codec::Vp9 => self.describer.describe(seq, payload, &facts),
            _ => payload,
        };
        let audio = self.media == Media::Audio;
        let full = self
            .gather
            .push(seq, timestamp, payload, header.marker && !audio, now);
        if facts.picture_start || !headers {
            self.gather.note_picture();
        }
        self.note_start(start, around.stream);
        if full || audio {
            self.close(now, around);
        }
        if self.verifier.is_overdue(now) {
            self.warn_unproven(around.stream);
        }
    }

    fn note_start(&mut self, start: Start, stream: &Stream) {
        match start {
            Start::No => {}
            Start::Keyframe => {
                self.gather.note_keyframe();
                stream.clear_warning(Warning::NoParameterSets, self.media);
            }
            // Some encoders send parameter sets once: they are put in front of every later key frame.
            Start::BareKeyframe if self.params.as_packet().is_some() => {
                self.gather.note_keyframe();
                self.verifier.completed();
                self.prepend_params = true;
            }
            Start::BareKeyframe => self.warn(Warning::NoParameterSets, stream),
        }
    }

    fn close(&mut self, now: Instant, around: &mut Around<'_>) {
        let Some(mut closed) = self.gather.close() else {
            return;
        };
        if std::mem::take(&mut self.prepend_params)
            && let Some(sets) = self.params.as_packet()
        {
            closed.prepend(sets);
        }
        let proven = self.verifier.is_verified();
        if proven || self.verifier.frame_closed() {
            if !proven {
                self.release(now, around);
            }
            self.emit(closed, now, around.out);
            return;
        }
        if self.media == Media::Audio || self.held.len() >= HELD_MAX {
            self.drop_held(around.stream);
        }
        self.held.push(closed);
    }

    /// The run has proven itself: what was held back goes out.
    fn release(&mut self, now: Instant, around: &mut Around<'_>) {
        for closed in std::mem::take(&mut self.held) {
            self.emit(closed, now, around.out);
        }
        self.publish(around.stream);
    }

    fn emit(&mut self, mut closed: Closed, now: Instant, out: &mut Vec<FrameBatch>) {
        // Holes the sender's sequence has stay holes on the line: viewers must see the loss.
        let hole = self
            .last_sent
            .map_or(0, |last| closed.first_seq.saturating_sub(last + 1));
        let first_seq = self.next_seq + hole;
        self.next_seq = first_seq + closed.packets.len() as u64;
        self.last_sent = Some(closed.last_seq());
        if matches!(self.expected.codec, Codec::Vp8 | Codec::Vp9) {
            for span in &closed.packets {
                let start = span.offset as usize;
                let end = start + usize::from(span.len);
                let payload = &mut closed.payload[start..end];
                self.pictures.rewrite(self.expected.codec, payload);
            }
        }
        out.push(FrameBatch {
            media: self.media,
            codec: self.expected.codec,
            first_seq,
            timestamp: closed.timestamp,
            keyframe: closed.keyframe && self.media == Media::Video,
            closed_at: now,
            payload: closed.payload,
            packets: closed.packets,
        });
    }

    fn publish(&self, stream: &Stream) {
        let facts = TrackFacts {
            codec: self.expected.codec,
            profile_level_id: self.verifier.profile_level_id,
        };
        stream.set_track(self.media, Some(facts));
        stream.clear_warning(Warning::CodecMismatch, self.media);
    }
}
