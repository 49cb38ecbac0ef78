//! What FFmpeg sees of a stream, with a virtual clock and without sockets.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::line::{Line, Packet, Wire, parameters};
use crate::leg::input::Promise;
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::rtp::header::Header;
use crate::rtp::rtcp::{self, Item};
use crate::stream::{FrameBatch, IngestPoint, PacketSpan, Sink, StreamKey};

/// Pictures are kept for who joins.
const KEPT: crate::stream::history::Limits = crate::stream::history::Limits {
    bytes: 1 << 20,
    time: Duration::from_secs(12),
};
const BOTH: Promise = Promise {
    video: Some(Codec::H264),
    audio: true,
};

#[derive(Default)]
struct Sent(Vec<(Media, Packet, Vec<u8>)>);

impl Wire for Sent {
    fn send(&mut self, media: Media, kind: Packet, bytes: &[u8]) {
        self.0.push((media, kind, bytes.to_vec()));
    }
}

impl Sent {
    fn headers(&self, media: Media) -> Vec<Header> {
        let of_media = self
            .0
            .iter()
            .filter(|it| it.0 == media && it.1 != Packet::Rtcp);
        of_media.map(|it| Header::parse(&it.2).unwrap()).collect()
    }

    fn reports(&self, media: Media) -> Vec<(u32, u64, u32)> {
        let of_media = self
            .0
            .iter()
            .filter(|it| it.0 == media && it.1 == Packet::Rtcp);
        let reports = of_media.map(|it| match rtcp::parse(&it.2).next() {
            Some(Ok(Item::SenderReport(report))) => (report.ssrc, report.ntp, report.rtp),
            other => panic!("{other:?}"),
        });
        reports.collect()
    }
}

struct Swallow;

impl Sink for Swallow {
    fn deliver(&self, _: StreamKey, _: Arc<FrameBatch>) {}
}

/// A line, and a clock that begins when its stream did.
struct Rig {
    point: Arc<IngestPoint>,
    line: Line,
    sent: Sent,
    begin: (Instant, SystemTime),
}

impl Rig {
    fn new(promise: &Promise) -> Self {
        let point = IngestPoint::new(
            "cam",
            StreamKey(1),
            BOTH.expectation(),
            KEPT,
            Arc::default(),
            crate::events::Events::default(),
        );
        point.stream().attach(Arc::new(Swallow));
        let begin = (Instant::now(), SystemTime::now());
        // Two packets of audio prove it: the stream's line has begun.
        for n in 0..2_u16 {
            let mut packet = [0_u8; 15];
            let mut head = [0; 12];
            crate::rtp::header::write(&mut head, 111, false, n, u32::from(n) * 960, 7);
            packet[..12].copy_from_slice(&head);
            packet[12..].copy_from_slice(&[0xf8, 0xff, 0xfe]);
            point.datagram(&packet, begin.0);
        }
        Self {
            line: Line::new(point.stream().clone(), promise),
            point,
            sent: Sent::default(),
            begin,
        }
    }

    fn at(&self, ms: u64) -> (Instant, SystemTime) {
        let after = Duration::from_millis(ms);
        (self.begin.0 + after, self.begin.1 + after)
    }

    fn batch(&mut self, ms: u64, batch: &FrameBatch) {
        let (now, wall) = self.at(ms);
        self.line.batch(batch, now, wall, &mut self.sent);
    }

    fn tick(&mut self, ms: u64) {
        let (now, wall) = self.at(ms);
        self.line.tick(now, wall, &mut self.sent);
    }

    fn video(&mut self, ms: u64, first_seq: u64, keyframe: bool) {
        self.batch(
            ms,
            &batch(Media::Video, first_seq, ms as u32 * 90, keyframe),
        );
    }

    fn audio(&mut self, ms: u64, first_seq: u64) {
        self.batch(ms, &batch(Media::Audio, first_seq, ms as u32 * 48, false));
    }
}

fn batch(media: Media, first_seq: u64, timestamp: u32, keyframe: bool) -> FrameBatch {
    let packets: &[PacketSpan] = &[
        PacketSpan {
            offset: 0,
            len: 3,
            marker: false,
        },
        PacketSpan {
            offset: 3,
            len: 3,
            marker: true,
        },
    ];
    let audio = media == Media::Audio;
    FrameBatch {
        media,
        codec: if audio { Codec::Opus } else { Codec::H264 },
        first_seq,
        timestamp,
        keyframe,
        closed_at: Instant::now(),
        payload: [0xf8, 0xff, 0xfe, 0xf8, 0xff, 0xfe].into(),
        packets: packets[usize::from(audio)..].into(),
    }
}

#[test]
fn nothing_is_sent_before_a_key_frame_then_a_report_of_each_medium_first() {
    let mut rig = Rig::new(&BOTH);
    rig.audio(100, 3);
    rig.video(100, 10, false);
    rig.tick(120);
    assert!(rig.sent.0.is_empty() && !rig.line.has_started());
    rig.video(140, 12, true);
    let kinds: Vec<_> = rig.sent.0.iter().map(|it| (it.0, it.1)).collect();
    let (video, audio) = (Media::Video, Media::Audio);
    let first = [
        (video, Packet::Rtcp),
        (audio, Packet::Rtcp),
        (video, Packet::Rtp),
        (video, Packet::Rtp),
    ];
    assert_eq!(kinds, first);
    let headers = rig.sent.headers(video);
    assert_eq!(
        (headers[0].payload_type, headers[0].timestamp),
        (96, 140 * 90)
    );
    assert_eq!((headers[0].marker, headers[1].marker), (false, true));
    assert_eq!(headers[1].seq, headers[0].seq.wrapping_add(1));
}

#[test]
fn reports_of_both_media_are_one_mapping_for_ever() {
    let mut rig = Rig::new(&BOTH);
    rig.video(100, 0, true);
    for ms in (200..20_000).step_by(100) {
        rig.audio(ms, ms);
        rig.tick(ms);
    }
    for (media, rate) in [(Media::Video, 90_u64), (Media::Audio, 48)] {
        let reports = rig.sent.reports(media);
        assert!(reports.len() >= 9, "{}", reports.len());
        let (ssrc, first_ntp, first_rtp) = reports[0];
        for (of, ntp, rtp) in reports {
            assert_eq!(of, ssrc);
            let ticks = ((ntp - first_ntp) as u128 * u128::from(rate * 1000)) >> 32;
            let off = i64::from(rtp.wrapping_sub(first_rtp)) - ticks as i64;
            assert!(off.abs() <= 1, "{media:?}: {off} ticks off");
        }
    }
}

#[test]
fn holes_stay_holes_and_a_new_ffmpeg_gets_the_next_key_frame_on_the_same_line() {
    let mut rig = Rig::new(&BOTH);
    rig.video(100, 50, true);
    rig.video(133, 55, false);
    rig.line.restart();
    rig.video(166, 57, false);
    rig.video(200, 900, true);
    let headers = rig.sent.headers(Media::Video);
    let steps: Vec<u16> = headers
        .windows(2)
        .map(|it| it[1].seq.wrapping_sub(it[0].seq))
        .collect();
    assert_eq!(steps, [1, 4, 1, 1, 1]);
    assert!(headers.iter().all(|it| it.ssrc == headers[0].ssrc));
    assert_eq!(
        rig.sent.reports(Media::Video).len(),
        2,
        "each FFmpeg gets a report first"
    );
}

#[test]
fn audio_that_never_comes_is_silence_from_the_first_picture_on() {
    let mut rig = Rig::new(&BOTH);
    rig.video(1000, 0, true);
    for ms in (1000..3000).step_by(20) {
        rig.tick(ms);
    }
    let headers = rig.sent.headers(Media::Audio);
    assert!((99..=101).contains(&headers.len()), "{}", headers.len());
    assert!(
        headers
            .windows(2)
            .all(|it| it[1].timestamp - it[0].timestamp == 960)
    );
    assert!(
        headers
            .windows(2)
            .all(|it| it[1].seq.wrapping_sub(it[0].seq) == 1)
    );
    let begin = i64::from(headers[0].timestamp) - 900 * 48;
    assert!(begin.abs() < 96, "100 ms behind the clock: {begin}");
    assert_eq!(headers[0].payload_type, 111);
    let silent = rig.sent.0.iter().filter(|it| it.1 == Packet::Silence);
    assert!(silent.clone().count() > 0);
    assert!(
        silent
            .map(|it| &it.2[12..])
            .all(|it| it == [0xf8, 0xff, 0xfe])
    );
}

#[test]
fn audio_that_comes_back_goes_on_behind_the_silence_and_none_is_made_in_its_short_pauses() {
    let mut rig = Rig::new(&BOTH);
    rig.video(0, 0, true);
    rig.audio(20, 5);
    for ms in (40..=500).step_by(20) {
        rig.tick(ms);
    }
    assert_eq!(rig.sent.headers(Media::Audio).len(), 1, "a pause of DTX");
    for ms in (520..2000).step_by(20) {
        rig.tick(ms);
    }
    let last = rig.sent.headers(Media::Audio).last().unwrap().timestamp;
    assert!(last >= 1840 * 48, "{last}");
    // Late by more than silence was: not sent. Later ones are.
    rig.batch(2000, &batch(Media::Audio, 6, last - 480, false));
    rig.audio(2000, 7);
    rig.tick(2020);
    let headers = rig.sent.headers(Media::Audio);
    assert!(
        headers
            .windows(2)
            .all(|it| it[1].timestamp > it[0].timestamp)
    );
    assert_eq!(headers.last().unwrap().timestamp, 2000 * 48);
}

#[test]
fn a_medium_that_was_not_promised_is_not_sent_and_audio_alone_starts_by_itself() {
    let audio_only = Promise {
        video: None,
        audio: true,
    };
    let mut rig = Rig::new(&audio_only);
    rig.video(20, 0, true);
    assert!(rig.sent.0.is_empty());
    rig.audio(40, 3);
    assert_eq!(rig.sent.headers(Media::Audio).len(), 1);
    assert_eq!(rig.line.goodbyes().count(), 1);
}

#[test]
fn a_publisher_without_picture_is_heard_where_one_was_promised() {
    let mut rig = Rig::new(&BOTH);
    rig.audio(20, 3);
    assert!(rig.sent.0.is_empty(), "its picture is on its way");
    rig.point.new_publisher([false, true], Vec::new());
    rig.audio(40, 3);
    assert_eq!(rig.sent.headers(Media::Audio).len(), 1);
    rig.point.new_publisher([true, true], Vec::new());
    rig.line.restart();
    rig.audio(60, 3);
    assert_eq!(rig.sent.headers(Media::Audio).len(), 1);
}

#[test]
fn a_goodbye_is_a_report_and_a_bye_of_16_bytes_per_medium() {
    let rig = Rig::new(&BOTH);
    let goodbyes: Vec<_> = rig.line.goodbyes().collect();
    assert_eq!(goodbyes.len(), 2);
    for (_, bytes) in goodbyes {
        assert_eq!((bytes.len(), bytes[1], bytes[9]), (16, 201, 203));
    }
}

#[test]
fn parameter_sets_of_a_key_frame_stand_in_the_description() {
    let units: [&[u8]; 3] = [
        &[0x67, 0x42, 0xc0, 0x1f, 0x01],
        &[0x68, 0xce],
        &[0x65, 0x88],
    ];
    let mut offset = 0;
    let spans: Vec<_> = units
        .iter()
        .map(|unit| {
            let span = PacketSpan {
                offset,
                len: unit.len() as u16,
                marker: false,
            };
            offset += unit.len() as u32;
            span
        })
        .collect();
    let mut keyframe = batch(Media::Video, 0, 0, true);
    keyframe.payload = units.concat().into();
    keyframe.packets = spans.into();
    let text = parameters(&keyframe);
    assert_eq!(
        text,
        ";profile-level-id=42C01F;sprop-parameter-sets=Z0LAHwE=,aM4="
    );
    keyframe.codec = Codec::Vp8;
    assert_eq!(parameters(&keyframe), "");
    assert_eq!(parameters(&batch(Media::Video, 0, 0, true)), "");
}
