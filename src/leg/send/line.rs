//! The line one FFmpeg sees: per medium one SSRC and sequence numbers that never break, on the stream's own timestamps.
//! Sans-IO: batches and time come in, packets go to a [`Wire`].
//!
//! FFmpeg hears nothing before a key frame (where the publisher has no picture, before its sound); then a sender report of each medium (RFC 3550 §6.4.1), so that it places both on
//! one clock from the first packet on. A publisher's goodbye ends nothing here: FFmpeg would stop reading.
//!
//! Where audio was promised and none comes, silence is made: FFmpeg's muxers hold video back until every stream has
//! something (11 s were measured).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::rtp::Media;
use crate::rtp::codec::{Codec, opus};
use crate::rtp::header::{self, HEADER_LEN};
use crate::rtp::rtcp;
use crate::stream::{FrameBatch, Stream};

use super::super::input::Promise;

/// Between two sender reports.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Audio that is silent for so long is replaced; a publisher's own pauses (DTX) are shorter.
const SILENT: Duration = Duration::from_millis(500);
/// Silence stays so far behind the clock, so that audio which comes back isn't late.
const SILENCE_LAG_MS: u32 = 100;
/// A gap longer than this is not filled: silence goes on at its end.
const SILENCE_FILLED_MS: u32 = 2_000;
/// 20 ms of silence (RFC 6716 §3.1: CELT, full band, stereo, one frame).
const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
const OPUS_TICKS: u32 = 960;
const OPUS_TICKS_PER_MS: u32 = 48;

/// A hole in the publisher's sequence stays one, so that FFmpeg knows of the loss; one longer than this is none.
const HOLE_MAX: u64 = 1_000;

/// Where packets go.
pub(crate) trait Wire {
    /// One RTP or RTCP packet of a medium.
    fn send(&mut self, media: Media, kind: Packet, bytes: &[u8]);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    Rtp,
    Rtcp,
    /// RTP of silence.
    Silence,
}

pub(crate) struct Line {
    stream: Arc<Stream>,
    tracks: [Option<Track>; 2],
    started: bool,
    report_due: Option<Instant>,
    audio_heard: Option<Instant>,
    scratch: Vec<u8>,
}

struct Track {
    media: Media,
    payload_type: u8,
    ssrc: u32,
    next_seq: u16,
    /// The stream's sequence number that follows what was sent last.
    follows: Option<u64>,
    /// Of audio: nothing before this is sent any more.
    floor: Option<u32>,
    packets: u32,
    octets: u32,
}

impl Line {
    /// A line that has not started.
    pub(crate) fn new(stream: Arc<Stream>, promise: &Promise) -> Self {
        let mut tracks = [None, None];
        let mut random = [0_u8; 10];
        // Constant numbers serve as well: FFmpeg hears nobody else here.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let [a, b, c, d, seqs @ ..] = random;
        let ssrc = u32::from_be_bytes([a, b, c, d]) & !1;
        for (media, _, payload_type) in promise.media() {
            let index = media as usize;
            tracks[index] = Some(Track {
                media,
                payload_type,
                ssrc: ssrc | index as u32,
                next_seq: u16::from_be_bytes([seqs[2 * index], seqs[2 * index + 1]]),
                follows: None,
                floor: None,
                packets: 0,
                octets: 0,
            });
        }
        Self {
            stream,
            tracks,
            started: false,
            report_due: None,
            audio_heard: None,
            scratch: Vec::with_capacity(1500),
        }
    }

    /// Another FFmpeg listens: it gets reports and a key frame first. SSRCs and sequence numbers go on.
    pub(crate) fn restart(&mut self) {
        self.started = false;
        self.report_due = None;
    }

    /// Whether FFmpeg has got a key frame.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// One batch of the stream, in order.
    pub(crate) fn batch(
        &mut self,
        batch: &FrameBatch,
        now: Instant,
        wall: SystemTime,
        wire: &mut impl Wire,
    ) {
        if batch.media == Media::Audio {
            self.audio_heard = Some(now);
        }
        if self.tracks[batch.media as usize].is_none() {
            return;
        }
        if !self.started {
            let video = self.tracks[Media::Video as usize].is_some();
            if !starts(batch, video, &self.stream) {
                return;
            }
            self.start(batch, wall);
        }
        self.report(now, wall, wire);
        if let Some(track) = &mut self.tracks[batch.media as usize] {
            track.send(batch, &mut self.scratch, wire);
        }
    }

    /// Reports and silence that are due.
    pub(crate) fn tick(&mut self, now: Instant, wall: SystemTime, wire: &mut impl Wire) {
        if !self.started {
            return;
        }
        self.report(now, wall, wire);
        if self.audio_is_silent(now)
            && let Some(line_now) = self.stream.timestamp_at(Media::Audio, wall)
            && let Some(track) = &mut self.tracks[Media::Audio as usize]
        {
            track.fill(line_now, &mut self.scratch, wire);
        }
    }

    /// How long [`Line::tick`] may wait.
    pub(crate) fn tick_after(&self, now: Instant) -> Duration {
        if self.started && self.audio_is_silent(now) {
            Duration::from_millis(20)
        } else {
            Duration::from_millis(100)
        }
    }

    /// What ends FFmpeg's reading: a receiver report and a goodbye (a goodbye alone is not heard), once per m-line.
    pub(crate) fn goodbyes(&self) -> impl Iterator<Item = (Media, Vec<u8>)> {
        self.tracks.iter().flatten().map(|track| {
            let mut bytes = Vec::with_capacity(16);
            rtcp::write_receiver_report(&mut bytes, track.ssrc, &[]);
            rtcp::write_bye(&mut bytes, &[track.ssrc]);
            (track.media, bytes)
        })
    }

    fn start(&mut self, first: &FrameBatch, wall: SystemTime) {
        self.started = true;
        for track in self.tracks.iter_mut().flatten() {
            track.follows = None;
            if track.media != Media::Audio {
                continue;
            }
            // Silence would begin with the first picture; audio sent to an FFmpeg before stays behind.
            let begin = match first.media {
                Media::Audio => Some(first.timestamp),
                Media::Video => self.stream.timestamp_at(Media::Audio, wall).map(|now| {
                    let video = self.stream.timestamp_at(Media::Video, wall);
                    let ago = video.map_or(0, |it| it.wrapping_sub(first.timestamp) as i32);
                    // Ticks of 90 kHz in those of 48 kHz.
                    now.wrapping_sub((i64::from(ago) * 8 / 15) as u32)
                }),
            };
            track.floor = match (track.floor, begin) {
                (Some(floor), Some(begin)) if behind(begin, floor) => Some(floor),
                (_, begin) => begin.map(|it| it.wrapping_sub(OPUS_TICKS_PER_MS * SILENCE_LAG_MS)),
            };
        }
    }

    fn report(&mut self, now: Instant, wall: SystemTime, wire: &mut impl Wire) {
        if self.report_due.is_some_and(|due| now < due) {
            return;
        }
        self.report_due = Some(now + REPORT_EVERY);
        for track in self.tracks.iter().flatten() {
            // One mapping for both media: a report beside it would move a stream by hours.
            let Some(timestamp) = self.stream.timestamp_at(track.media, wall) else {
                continue;
            };
            self.scratch.clear();
            rtcp::write_sender_report(
                &mut self.scratch,
                track.ssrc,
                rtcp::ntp_from(wall),
                timestamp,
                track.packets,
                track.octets,
            );
            wire.send(track.media, Packet::Rtcp, &self.scratch);
        }
    }

    fn audio_is_silent(&self, now: Instant) -> bool {
        self.tracks[Media::Audio as usize].is_some()
            && self
                .audio_heard
                .is_none_or(|at| now.saturating_duration_since(at) >= SILENT)
    }
}

impl Track {
    fn send(&mut self, batch: &FrameBatch, scratch: &mut Vec<u8>, wire: &mut impl Wire) {
        if self
            .follows
            .is_some_and(|follows| batch.first_seq < follows)
        {
            // It was among what the stream had kept.
            return;
        }
        if self.media == Media::Audio {
            // Audio that comes back may overlap with the silence in its place: FFmpeg's time must not go back.
            if self
                .floor
                .is_some_and(|floor| behind(batch.timestamp, floor))
            {
                return;
            }
            let payload = batch.packets.last().map(|span| batch.payload_of(span));
            let ticks = payload.and_then(|payload| opus::duration_ticks(payload).ok());
            self.floor = Some(batch.timestamp.wrapping_add(ticks.unwrap_or(OPUS_TICKS)));
        }
        let hole = self
            .follows
            .map_or(0, |follows| batch.first_seq.saturating_sub(follows));
        if hole <= HOLE_MAX {
            self.next_seq = self.next_seq.wrapping_add(hole as u16);
        }
        self.follows = Some(batch.first_seq + batch.packets.len() as u64);
        for span in &batch.packets {
            // FFmpeg's own H.264 reader needs no marker on audio, nor does a marker hurt it.
            let payload = batch.payload_of(span);
            self.packet(batch.timestamp, span.marker, payload, scratch);
            wire.send(self.media, Packet::Rtp, scratch);
        }
    }

    /// Silence up to a little before `line_now`.
    fn fill(&mut self, line_now: u32, scratch: &mut Vec<u8>, wire: &mut impl Wire) {
        let until = line_now.wrapping_sub(OPUS_TICKS_PER_MS * SILENCE_LAG_MS);
        let mut next = self.floor.unwrap_or(until);
        let ahead = until.wrapping_sub(next) as i32;
        if ahead > (OPUS_TICKS_PER_MS * SILENCE_FILLED_MS) as i32 {
            next = until;
        }
        while !behind(until, next) {
            self.packet(next, false, &OPUS_SILENCE, scratch);
            wire.send(self.media, Packet::Silence, scratch);
            next = next.wrapping_add(OPUS_TICKS);
        }
        self.floor = Some(next);
    }

    fn packet(&mut self, timestamp: u32, marker: bool, payload: &[u8], scratch: &mut Vec<u8>) {
        let mut head = [0; HEADER_LEN];
        header::write(
            &mut head,
            self.payload_type,
            marker,
            self.next_seq,
            timestamp,
            self.ssrc,
        );
        scratch.clear();
        scratch.extend_from_slice(&head);
        scratch.extend_from_slice(payload);
        self.next_seq = self.next_seq.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
    }
}

/// Whether FFmpeg, which may have been promised `video`, can begin with this batch: a key frame; sound where no picture is
/// to come, because none was promised or the publisher brings none.
pub(crate) fn starts(batch: &FrameBatch, video: bool, stream: &Stream) -> bool {
    match batch.media {
        Media::Video => batch.keyframe,
        Media::Audio => !video || !stream.info().expected.0,
    }
}

/// The `sprop-parameter-sets` (RFC 6184 §8.1) and profile of a key frame, as they continue an `a=fmtp`; empty for a
/// codec other than H.264, whose parameter sets FFmpeg takes from the packets.
pub(crate) fn parameters(keyframe: &FrameBatch) -> String {
    use crate::rtp::codec::h264::{nal, whole_units};

    if keyframe.codec != Codec::H264 {
        return String::new();
    }
    let units = keyframe
        .packets
        .iter()
        .flat_map(|span| whole_units(keyframe.payload_of(span)));
    let (mut sps, mut pps) = (None, None);
    for unit in units {
        match unit.first().map_or(0, |byte| byte & 0x1f) {
            nal::SPS => sps = Some(unit),
            nal::PPS => pps = Some(unit),
            _ => {}
        }
    }
    let (Some(sps @ [_, profile, constraints, level, ..]), Some(pps)) = (sps, pps) else {
        return String::new();
    };
    let (sps, pps) = (
        super::super::base64::encode(sps),
        super::super::base64::encode(pps),
    );
    format!(
        ";profile-level-id={profile:02X}{constraints:02X}{level:02X};sprop-parameter-sets={sps},{pps}"
    )
}

/// `a` lies before `b` on a line that wraps.
fn behind(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
