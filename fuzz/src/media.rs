//! Packets of FFmpeg and publishers (RTP), and what an authenticated viewer says (RTCP).

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use corertc::events::Events;
use corertc::net::Path;
use corertc::peer::ice::credentials::Credentials;
use corertc::peer::srtp::{Outbound, Profile};
use corertc::peer::{Outbox, RtxSetup, StreamPacket, TrackSetup, Viewer, ViewerSetup, room_for};
use corertc::rtp::codec::pictures::PictureLine;
use corertc::rtp::codec::{Codec, inspect};
use corertc::rtp::{Media, header, rtcp as reports};
use corertc::stats::Counters;
use corertc::stream::history::Limits;
use corertc::stream::{Expectation, FrameBatch, Sink, Stream, StreamKey, TrackExpectation};

use super::connection::keys;

const CODECS: [Codec; 6] = [
    Codec::H264,
    Codec::H265,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Av1,
    Codec::Opus,
];

/// Looks at every packet as a viewer's shard does.
struct Look;

impl Sink for Look {
    fn deliver(&self, _: StreamKey, batch: Arc<FrameBatch>) {
        assert!(!batch.packets.is_empty());
        for span in &batch.packets {
            assert!(!batch.payload_of(span).is_empty());
        }
    }
}

/// The first byte chooses the codec; the rest are pieces. The first byte of a piece is flags: 1 marker, 2 a new
/// timestamp, 4 a step of the sequence number more, 8 the whole packet is in the piece, 16 time passes, 32 of audio.
pub fn rtp(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let codec = CODECS[usize::from(*first) % CODECS.len()];
    let _ = inspect(codec, rest);
    PictureLine::default().rewrite(codec, &mut rest.to_vec());
    let track = |codec, payload_type| TrackExpectation {
        codec,
        payload_type,
        copied: first & 0x80 != 0,
    };
    let expectation = Expectation {
        video: (codec != Codec::Opus).then(|| track(codec, 96)),
        audio: Some(track(Codec::Opus, 97)),
        start_time_us: 0,
    };
    let kept = Limits {
        bytes: 1 << 16,
        time: Duration::from_secs(10),
    };
    let (counters, events) = (Arc::new(Counters::default()), Events::default());
    let (stream, mut ingest) =
        Stream::new("fuzz", StreamKey(1), expectation, kept, counters, events);
    stream.attach(Arc::new(Look));
    let mut now = Instant::now();
    let (mut seq, mut timestamp) = (65_530_u16, 0_u32);
    for piece in super::pieces(rest) {
        let Some((flags, payload)) = piece.split_first() else {
            continue;
        };
        let audio = flags & 32 != 0 || codec == Codec::Opus;
        if flags & 8 != 0 {
            ingest.datagram(None, payload, now);
        } else {
            timestamp = timestamp.wrapping_add(if flags & 2 != 0 { 3000 } else { 0 });
            seq = seq.wrapping_add(1 + u16::from(flags & 4 != 0));
            let mut packet = [0; header::HEADER_LEN];
            let (payload_type, ssrc) = if audio { (97, 2) } else { (96, 1) };
            header::write(
                &mut packet,
                payload_type,
                flags & 1 != 0,
                seq,
                timestamp,
                ssrc,
            );
            let packet = [&packet, payload].concat();
            ingest.datagram(None, &packet, now);
        }
        if flags & 16 != 0 {
            now += Duration::from_millis(20);
        }
        while let Some(due) = ingest.next_timeout().filter(|due| *due <= now) {
            ingest.handle_timeout(now);
            assert_ne!(ingest.next_timeout(), Some(due), "a timer that never ends");
        }
    }
}

/// Plain RTCP: read as it is, and said by a viewer who has the keys.
pub fn rtcp(input: &[u8]) {
    for item in reports::parse(input) {
        if let Ok(reports::Item::Nack(nack)) = item {
            assert!(nack.sequences().count() <= input.len() * 5);
        }
    }
    let now = Instant::now();
    let path = Path {
        socket: 0,
        local: None,
        remote: ([192, 0, 2, 1], 4000).into(),
    };
    let track = |ssrc, codec| TrackSetup {
        ssrc,
        codec,
        payload_type: 96,
        first_seq: 1,
        timestamp_offset: 0,
        rtx: Some(RtxSetup {
            ssrc: ssrc + 10,
            payload_type: 97,
            first_seq: 1,
        }),
    };
    let setup = ViewerSetup {
        credentials: Credentials {
            ufrag: "ufrag".to_owned(),
            pwd: "the-password-of-the-server".to_owned(),
        },
        tracks: [Some(track(1, Codec::Vp8)), Some(track(2, Codec::Opus))],
        cname: "cname".into(),
        transport_cc: Some(3),
    };
    let counters = Arc::new(Counters::default());
    let mut viewer = Viewer::new(setup, true, counters, now);
    let (mut out, keys) = (Outbox::default(), keys(Profile::AeadAes128Gcm));
    viewer
        .connect(&keys, path, now, &mut out)
        .expect("keys that fit");
    for first_seq in 0..40 {
        assert!(viewer.begin(Media::Video, Codec::Vp8, first_seq, 1, true));
        let packet = StreamPacket {
            media: Media::Video,
            seq: first_seq,
            timestamp: 0,
            marker: true,
            payload: &[1; 100],
        };
        viewer.seal(&packet, &mut vec![0; room_for(100)]);
    }
    if input.len() < 8 {
        return;
    }
    let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let (mut outbound, mut sealed) = (Outbound::new(&keys).expect("keys that fit"), Vec::new());
    outbound.seal_rtcp(input, &mut sealed);
    viewer.datagram(path, &sealed, true, now, wall, &mut out);
    // Nothing it says makes more than a few things to do of it.
    assert!(out.notices.len() <= input.len());
    let _ = (viewer.feedback().loss_percent(), viewer.feedback().rtt());
}
