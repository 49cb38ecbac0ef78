//! The rig: a stream, a sink that keeps every batch, and senders that write what FFmpeg 5.1.9 writes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::events::{Event, EventKind, Events};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::rtp::header;
use crate::stats::Counters;
use crate::stream::history::Limits;
use crate::stream::{Expectation, FrameBatch, Ingest, Sink, Stream, StreamKey, TrackExpectation};

pub(super) const T0_US: u64 = 1_700_000_000_000_000;
pub(super) const VIDEO_PT: u8 = 101;
pub(super) const AUDIO_PT: u8 = 102;

/// STAP-A with SPS (42c014), PPS and SEI as libx264 through FFmpeg sends it.
pub(super) const PARAMS: &[u8] = &[
    0x18, 0, 0x16, 0x67, 0x42, 0xc0, 0x14, 0xda, 0x05, 0x07, 0xec, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0,
    0, 0x0c, 0xa3, 0xc5, 0x0a, 0xa8, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 4, 6, 5, 0xff, 0xff,
];
pub(super) const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x21];
pub(super) const SLICE: &[u8] = &[0x41, 0x9a, 0x20, 0xcf];
pub(super) const OPUS: &[u8] = &[0xfc, 0x01, 0x02, 0x03];

#[derive(Default)]
pub(super) struct Kept(Mutex<Vec<Arc<FrameBatch>>>);

impl Sink for Kept {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        self.0.lock().unwrap().push(batch);
    }
}

pub(super) struct Rig {
    pub(super) stream: Arc<Stream>,
    pub(super) ingest: Ingest,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Events,
    pub(super) now: Instant,
    kept: Arc<Kept>,
}

impl Rig {
    pub(super) fn new(video: Codec) -> Self {
        let expect = |codec, payload_type| TrackExpectation {
            codec,
            payload_type,
            copied: true,
        };
        Self::with(Expectation {
            video: Some(expect(video, VIDEO_PT)),
            audio: Some(expect(Codec::Opus, AUDIO_PT)),
            start_time_us: T0_US,
        })
    }

    /// A stream that has no audio.
    pub(super) fn of_video(codec: Codec) -> Self {
        let video = TrackExpectation {
            codec,
            payload_type: VIDEO_PT,
            copied: true,
        };
        Self::with(Expectation {
            video: Some(video),
            audio: None,
            start_time_us: T0_US,
        })
    }

    pub(super) fn with(expectation: Expectation) -> Self {
        let (counters, events) = (Arc::new(Counters::default()), Events::default());
        let (stream, ingest) = Stream::new(
            "cam",
            StreamKey(7),
            expectation,
            Limits {
                bytes: 1 << 20,
                time: Duration::from_secs(12),
            },
            Arc::clone(&counters),
            events.clone(),
        );
        let kept = Arc::new(Kept::default());
        stream.attach(kept.clone());
        stream.attach(kept.clone());
        Self {
            stream,
            ingest,
            counters,
            events,
            now: Instant::now(),
            kept,
        }
    }

    /// Passes time, calling the timeouts that fall due.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.ingest.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.ingest.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    pub(super) fn feed(&mut self, port: Media, datagram: &[u8]) {
        self.ingest.datagram(Some(port), datagram, self.now);
    }

    /// The batches delivered since the last call.
    pub(super) fn batches(&self) -> Vec<Arc<FrameBatch>> {
        std::mem::take(&mut *self.kept.0.lock().unwrap())
    }

    pub(super) fn batches_of(&self, media: Media) -> Vec<Arc<FrameBatch>> {
        let mut batches = self.batches();
        batches.retain(|batch| batch.media == media);
        batches
    }

    pub(super) fn events(&self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.next(Duration::ZERO)).collect()
    }

    /// The codes of the warnings since the last call.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.events()
            .iter()
            .filter(|event| event.kind == EventKind::Warning)
            .map(|event| event.detail["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// One leg of one FFmpeg process.
pub(super) struct Sender {
    pub(super) media: Media,
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    pub(super) base: u32,
}

impl Sender {
    pub(super) fn video(ssrc: u32) -> Self {
        Self::new(Media::Video, VIDEO_PT, ssrc)
    }

    pub(super) fn audio(ssrc: u32) -> Self {
        Self::new(Media::Audio, AUDIO_PT, ssrc)
    }

    fn new(media: Media, payload_type: u8, ssrc: u32) -> Self {
        Self {
            media,
            payload_type,
            ssrc,
            seq: (ssrc.wrapping_mul(2_654_435_761) >> 20) as u16,
            base: ssrc.wrapping_mul(0x9e37_79b9),
        }
    }

    fn rate(&self) -> u64 {
        if self.media == Media::Video {
            90_000
        } else {
            48_000
        }
    }

    /// The RTP timestamp of FFmpeg's own time.
    pub(super) fn rtp(&self, pts_ms: i64) -> u32 {
        let ticks = pts_ms * self.rate() as i64 / 1000;
        self.base.wrapping_add(ticks as u32)
    }

    pub(super) fn packet(&mut self, pts_ms: i64, marker: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = [0; header::HEADER_LEN];
        let timestamp = self.rtp(pts_ms);
        header::write(
            &mut out,
            self.payload_type,
            marker,
            self.seq,
            timestamp,
            self.ssrc,
        );
        self.seq = self.seq.wrapping_add(1);
        [&out[..], payload].concat()
    }

    /// FFmpeg's report (rtpenc.c): written at `wall_us`, whose distance to T0 it takes for its own time.
    pub(super) fn report(&self, wall_us: u64) -> Vec<u8> {
        let wall_us = wall_us / 1000 * 1000;
        let elapsed = i128::from(wall_us) - i128::from(T0_US / 1000 * 1000);
        let ticks = (elapsed * i128::from(self.rate()) + 500_000).div_euclid(1_000_000);
        let rtp = self.base.wrapping_add(ticks as u32);
        let seconds = (wall_us / 1_000_000 + 2_208_988_800) as u32;
        let fraction = ((wall_us % 1_000_000) << 32) / 1_000_000;
        let mut out = vec![0x80, 200, 0, 6];
        for word in [self.ssrc, seconds, fraction as u32, rtp, 0, 0] {
            out.extend(word.to_be_bytes());
        }
        out
    }

    pub(super) fn bye(&self) -> Vec<u8> {
        let mut out = vec![0x81, 203, 0, 1];
        out.extend(self.ssrc.to_be_bytes());
        out
    }

    pub(super) fn send(&mut self, rig: &mut Rig, pts_ms: i64, marker: bool, payload: &[u8]) {
        let packet = self.packet(pts_ms, marker, payload);
        rig.feed(self.media, &packet);
    }

    pub(super) fn send_report(&self, rig: &mut Rig, wall_us: u64) {
        let report = self.report(wall_us);
        rig.feed(self.media, &report);
    }

    /// A whole key frame: parameter sets, IDR.
    pub(super) fn send_keyframe(&mut self, rig: &mut Rig, pts_ms: i64) {
        self.send(rig, pts_ms, false, PARAMS);
        self.send(rig, pts_ms, true, IDR);
    }
}
