//! The way in: packets of a leg are checked, put on the stream's continuous line and gathered into frame batches.
//!
//! A datagram comes from `leg`, is told apart here (RTP of video or audio by its payload type, RTCP), goes through its
//! [`Track`](super::track::Track) and leaves as closed batches to the stream's sinks. Liveness and rates are kept here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::health::Health;
use super::line::Timeline;
use super::meter::Rates;
use super::report::{Reports, SenderReport};
use super::track::{Around, Track};
use super::warnings::Warning;
use super::{Expectation, FrameBatch, Stream};
use crate::rtp::Media;
use crate::rtp::header::{self, Header};
use crate::rtp::rtcp::{self, Item};

/// A stream that sends nothing for this long is not live.
const ALIVE: Duration = Duration::from_secs(3);

/// Feeds one stream. Sans-IO: bytes and time are arguments. One owner (the leg's receiver).
pub struct Ingest {
    stream: Arc<Stream>,
    tracks: [Option<Track>; 2],
    /// Tracks the host no longer expects.
    paused: [Option<Track>; 2],
    timeline: Timeline,
    reports: Reports,
    rates: Rates,
    health: Health,
    out: Vec<FrameBatch>,
    last_out: Option<Instant>,
    /// Wrong-kind warnings given: per port (video, audio, both), for the other leg's type and for a stranger's.
    warned_kind: [[bool; 2]; 3],
    /// What the present publisher has of the tracks.
    brings: [bool; 2],
}

impl Ingest {
    pub(super) fn new(stream: Arc<Stream>, expectation: Expectation) -> Self {
        Self {
            stream,
            tracks: [
                expectation
                    .video
                    .map(|track| Track::new(Media::Video, track)),
                expectation
                    .audio
                    .map(|track| Track::new(Media::Audio, track)),
            ],
            paused: [None, None],
            timeline: Timeline::new(expectation.start_time_us),
            reports: Reports::default(),
            rates: Rates::default(),
            health: Health::default(),
            out: Vec::new(),
            last_out: None,
            warned_kind: [[false; 2]; 3],
            brings: [true; 2],
        }
    }

    /// A publisher feeds it: its media are kept in sync by its sender reports, whatever its clock says, and its frames wait
    /// for nothing.
    pub(super) fn follow_reports(&mut self) {
        self.timeline.follow_reports();
        self.tracks.iter_mut().flatten().for_each(Track::hurry);
    }

    /// A publisher has these media (video, audio): a warning that one fell silent is about them only.
    pub(super) fn brings(&mut self, media: [bool; 2]) {
        self.brings = media;
    }

    /// Part of a frame has come, the rest is on its way.
    pub(super) fn is_unfinished(&self) -> bool {
        self.tracks.iter().flatten().any(Track::is_unfinished)
    }

    /// What has come of a frame leaves.
    pub(super) fn flush(&mut self, now: Instant) {
        for index in 0..self.tracks.len() {
            let (track, mut around) = self.split(index);
            if let Some(track) = track {
                track.flush(now, &mut around);
            }
        }
        self.deliver(now);
    }

    /// One datagram that came in on the leg port of `port` (or on the single port, where `port` is None), RTP or
    /// RTCP (RFC 5761 §4: second byte 192–223 is RTCP).
    pub fn datagram(&mut self, port: Option<Media>, datagram: &[u8], now: Instant) {
        if self.stream.has_ended() {
            return;
        }
        if header::is_rtcp(datagram) {
            self.rtcp(datagram);
        } else {
            self.rtp(port, datagram, now);
        }
    }

    /// When [`Ingest::handle_timeout`] wants to be called (1 ms of silence closes a batch; a silence ends liveness).
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.stream.has_ended() {
            return None;
        }
        let due = self.tracks.iter().flatten().filter_map(Track::due);
        let silent = self.last_out.map(|last| last + ALIVE);
        due.chain(silent).chain(self.rates.due()).min()
    }

    /// Closes what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stream.has_ended() {
            return;
        }
        for index in 0..self.tracks.len() {
            let (track, mut around) = self.split(index);
            if let Some(track) = track {
                track.handle_timeout(now, &mut around);
            }
        }
        self.deliver(now);
        if self.last_out.is_some_and(|last| now >= last + ALIVE) {
            self.last_out = None;
            self.rates.stop(self.stream.meter());
            self.health.silent(&self.stream);
            self.stream.set_live(None);
        } else if self.rates.due().is_some_and(|due| due <= now) {
            self.rates.roll(self.stream.meter(), now);
        }
    }

    fn rtp(&mut self, port: Option<Media>, datagram: &[u8], now: Instant) {
        let counters = self.stream.counters();
        let header = match Header::parse(datagram) {
            Ok(header) if !header.payload.is_empty() && datagram.len() <= 0xffff => header,
            _ => return self.malformed(),
        };
        if !self.timeline.follows_reports() {
            // A publisher's are counted where they came in.
            counters.leg_packets_in.inc();
            counters.leg_bytes_in.add(datagram.len() as u64);
        }
        let Some(media) = self.media_of(port, header.payload_type) else {
            counters.leg_wrong_kind.inc();
            self.warn_kind(port, header.payload_type);
            return;
        };
        let [video, audio] =
            [Media::Video, Media::Audio].map(|it| self.tracks[it as usize].is_some());
        let both = video && audio && self.brings == [true; 2];
        self.health.packet(media, both, &self.stream, now);
        let (track, mut around) = self.split(media as usize);
        let Some(track) = track else { return };
        let payload = &datagram[header.payload.clone()];
        let restarted = track.packet(&header, payload, now, &mut around);
        if restarted && (media == Media::Video || !video) {
            self.stream.meter().restarted();
        }
        if let Some(origin) = self.timeline.origin() {
            self.stream.set_origin(origin);
        }
        self.deliver(now);
    }

    fn rtcp(&mut self, datagram: &[u8]) {
        for item in rtcp::parse(datagram) {
            match item {
                Ok(Item::SenderReport(report)) => self.report(report.into()),
                Ok(Item::Bye(bye)) => {
                    for track in self.tracks.iter_mut().flatten() {
                        track.gate.bye(bye.ssrc);
                    }
                }
                Ok(_) => {}
                Err(_) => self.malformed(),
            }
        }
    }

    fn report(&mut self, report: SenderReport) {
        self.reports.keep(report);
        for track in self.tracks.iter_mut().flatten() {
            track.reported(report, &mut self.timeline);
        }
    }

    fn malformed(&self) {
        self.stream.counters().leg_malformed.inc();
        self.stream.counters().leg_drops.inc();
    }

    fn deliver(&mut self, now: Instant) {
        if self.out.is_empty() {
            return;
        }
        if self.last_out.is_none() {
            self.rates.roll(self.stream.meter(), now);
            self.stream.set_live(Some(now));
        }
        self.last_out = Some(now);
        for batch in self.out.drain(..) {
            if batch.media == Media::Video {
                self.health.video(batch.keyframe, &self.stream, now);
            }
            if batch.keyframe {
                self.rates.keyframe(self.stream.meter(), now);
            }
            self.stream.deliver(&Arc::new(batch));
        }
    }

    /// Whose packet it is: the payload type must be the leg's own; on a single port it alone decides.
    fn media_of(&self, port: Option<Media>, payload_type: u8) -> Option<Media> {
        [Media::Video, Media::Audio].into_iter().find(|media| {
            port.is_none_or(|port| port == *media)
                && self.payload_type_of(*media) == Some(payload_type)
        })
    }

    fn payload_type_of(&self, media: Media) -> Option<u8> {
        let track = self.tracks[media as usize].as_ref()?;
        Some(track.expected.payload_type)
    }

    fn warn_kind(&mut self, port: Option<Media>, got: u8) {
        let types = [Media::Video, Media::Audio].map(|media| self.payload_type_of(media));
        let crossed = types.contains(&Some(got));
        let slot = port.map_or(2, |media| media as usize);
        if std::mem::replace(&mut self.warned_kind[slot][usize::from(crossed)], true) {
            return;
        }
        let expected: Vec<u8> = [Media::Video, Media::Audio]
            .into_iter()
            .filter(|media| port.is_none_or(|port| port == *media))
            .filter_map(|media| types[media as usize])
            .collect();
        let detail = json!({
            "port": port.map_or("both", Media::name),
            "got": got,
            "expected": expected,
            "sender": if crossed { "other_leg" } else { "foreign" },
        });
        // Who sends it may differ: each is told, though the code may hold already.
        self.stream
            .tell(Warning::WrongKind, port.unwrap_or(Media::Video), detail);
    }

    fn split(&mut self, index: usize) -> (Option<&mut Track>, Around<'_>) {
        let around = Around {
            stream: &self.stream,
            timeline: &mut self.timeline,
            reports: &self.reports,
            out: &mut self.out,
        };
        (self.tracks[index].as_mut(), around)
    }

    /// FFmpeg will be started with other arguments on the same ports: other codecs, payload types, start time. The
    /// stream's line goes on, as after a restart; tracks no longer expected vanish from its info.
    pub fn expect(&mut self, expectation: Expectation) {
        self.stream.expect(expectation);
        self.timeline.starts_at(expectation.start_time_us);
        self.warned_kind = Default::default();
        self.health.silent(&self.stream);
        for media in [Media::Video, Media::Audio] {
            self.stream.clear_warning(Warning::WrongKind, media);
        }
        let expected = [expectation.video, expectation.audio];
        for (media, expected) in [Media::Video, Media::Audio].into_iter().zip(expected) {
            let index = media as usize;
            // A track that pauses is kept: its sequence numbers must never come twice.
            let track = self.tracks[index]
                .take()
                .or_else(|| self.paused[index].take());
            match (track, expected) {
                (Some(mut track), Some(expected)) => {
                    track.expect(expected, &self.stream);
                    self.tracks[index] = Some(track);
                }
                (None, Some(expected)) => {
                    let mut track = Track::new(media, expected);
                    if self.timeline.follows_reports() {
                        track.hurry();
                    }
                    self.tracks[index] = Some(track);
                }
                (track, None) => self.paused[index] = track,
            }
        }
    }
}
