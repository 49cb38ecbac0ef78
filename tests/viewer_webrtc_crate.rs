//! The independent `webrtc` crate as a viewer in the same process: another WebRTC stack agrees with every packet.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use corertc::rtp::codec::Codec;
use tokio::runtime::Runtime;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCPeerConnectionState, RTCSessionDescription, Registry, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};

use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::{PATIENCE, eventually, one_at_a_time};

/// What matters of one RTP packet.
#[derive(Debug, Clone, Copy)]
struct Packet {
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    bytes: usize,
}

#[derive(Default)]
struct Seen {
    state: Option<RTCPeerConnectionState>,
    /// By kind: "video", "audio".
    packets: BTreeMap<String, Vec<Packet>>,
}

struct Recorder(Arc<Mutex<Seen>>);

type Done<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl PeerConnectionEventHandler for Recorder {
    fn on_connection_state_change<'a, 'b>(&'a self, state: RTCPeerConnectionState) -> Done<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.0.lock().unwrap().state = Some(state) })
    }

    fn on_track<'a, 'b>(&'a self, track: Arc<dyn TrackRemote>) -> Done<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let seen = Arc::clone(&self.0);
        Box::pin(async move {
            let kind = track.kind().await.to_string();
            tokio::spawn(async move {
                while let Some(event) = track.poll().await {
                    let TrackRemoteEvent::OnRtpPacket(packet) = event else {
                        continue;
                    };
                    let header = &packet.header;
                    seen.lock()
                        .unwrap()
                        .packets
                        .entry(kind.clone())
                        .or_default()
                        .push(Packet {
                            ssrc: header.ssrc,
                            payload_type: header.payload_type,
                            sequence: header.sequence_number,
                            timestamp: header.timestamp,
                            marker: header.marker,
                            bytes: packet.payload.len(),
                        });
                }
            });
        })
    }
}

/// A viewer, connected by a POST through the host's own HTTP entry.
struct Viewer {
    runtime: Runtime,
    peer: Box<dyn PeerConnection>,
    seen: Arc<Mutex<Seen>>,
    answer: String,
    session: String,
}

impl Viewer {
    fn watch(host: &Host, target: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let handler = Arc::new(Recorder(Arc::clone(&seen)));
        let (peer, offer) = runtime.block_on(async {
            let mut media = MediaEngine::default();
            media.register_default_codecs().unwrap();
            let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
            let peer = PeerConnectionBuilder::new()
                .with_media_engine(media)
                .with_interceptor_registry(registry)
                .with_handler(handler)
                .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
                .build()
                .await
                .unwrap();
            for kind in ["video", "audio"] {
                let receive = RTCRtpTransceiverInit {
                    direction: RTCRtpTransceiverDirection::Recvonly,
                    ..Default::default()
                };
                peer.add_transceiver_from_kind(kind.into(), Some(receive))
                    .await
                    .unwrap();
            }
            let offer = peer.create_offer(None).await.unwrap();
            peer.set_local_description(offer.clone()).await.unwrap();
            (Box::new(peer) as Box<dyn PeerConnection>, offer.sdp)
        });
        let response = request(host, "POST", target, offer);
        let answer = String::from_utf8(response.body().to_vec()).unwrap();
        assert_eq!(response.status(), 201, "{answer}");
        let session = response.headers()["location"].to_str().unwrap().to_owned();
        let description = RTCSessionDescription::answer(answer.clone()).unwrap();
        runtime
            .block_on(peer.set_remote_description(description))
            .unwrap();
        Self {
            runtime,
            peer,
            seen,
            answer,
            session,
        }
    }

    /// Waits until `count` packets of this kind came; all of them.
    fn receives(&self, kind: &str, count: usize) -> Vec<Packet> {
        eventually(&format!("{count} {kind} packets"), PATIENCE, || {
            let seen = self.seen.lock().unwrap();
            match seen.packets.get(kind) {
                Some(packets) if packets.len() >= count => Ok(packets.clone()),
                packets => Err(format!(
                    "{} packets, state {:?}",
                    packets.map_or(0, Vec::len),
                    seen.state
                )),
            }
        })
    }

    /// The payload type that the answer gives this kind.
    fn answered(&self, kind: &str) -> u8 {
        let line = self
            .answer
            .lines()
            .find(|line| line.starts_with(&format!("m={kind} ")))
            .unwrap();
        line.split(' ').nth(3).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.peer.close());
    }
}

fn request(host: &Host, method: &str, target: &str, body: String) -> http::Response<Bytes> {
    let request = http::Request::builder()
        .method(method)
        .uri(target)
        .header("Content-Type", "application/sdp")
        .body(Bytes::from(body))
        .unwrap();
    host.subsystem
        .http_handle(request, "127.0.0.1", Duration::ZERO)
        .unwrap()
}

/// One SSRC, one payload type, every sequence number once and none left out, time never runs backwards.
fn assert_one_unbroken_line(packets: &[Packet], payload_type: u8) {
    let first = packets[0];
    let mut line: Vec<(i32, Packet)> = packets
        .iter()
        .map(|packet| {
            assert_eq!(packet.ssrc, first.ssrc);
            assert_eq!(packet.payload_type, payload_type);
            assert!(packet.bytes > 0);
            // Within 2^15 of the first: a few hundred packets are compared.
            let distance = packet.sequence.wrapping_sub(first.sequence).cast_signed();
            (i32::from(distance), *packet)
        })
        .collect();
    line.sort_by_key(|(distance, _)| *distance);
    for pair in line.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "a gap or a duplicate: {pair:?}");
        let step = pair[1].1.timestamp.wrapping_sub(pair[0].1.timestamp);
        assert!(step.cast_signed() >= 0, "time runs backwards: {pair:?}");
    }
}

#[test]
fn another_stack_gets_one_unbroken_line_per_media_across_an_ffmpeg_restart() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.announce = vec!["127.0.0.1".parse().unwrap()]);
    let legs = host.process_start("cam", &picture_and_tone(Codec::H264));
    let mut ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let viewer = Viewer::watch(&host, "/whep/cam");

    let video = viewer.receives("video", 100).len();
    let audio = viewer.receives("audio", 50).len();
    ffmpeg.restart();
    let video = viewer.receives("video", video + 100);
    let audio = viewer.receives("audio", audio + 50);
    assert_one_unbroken_line(&video, viewer.answered("video"));
    assert_one_unbroken_line(&audio, viewer.answered("audio"));
    assert_ne!(video[0].ssrc, audio[0].ssrc);
    assert!(video.iter().any(|packet| packet.marker));
    assert!(
        audio.iter().all(|packet| !packet.marker),
        "FFmpeg marks every Opus packet; a viewer must not see that"
    );
    assert_eq!(host.viewers(), 1);
}

#[test]
fn a_delete_ends_the_session_and_the_other_stack_sees_the_end() {
    let _turn = one_at_a_time();
    let host = Host::with(|settings| settings.announce = vec!["127.0.0.1".parse().unwrap()]);
    let legs = host.process_start("cam", &picture_and_tone(Codec::Vp8));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    let viewer = Viewer::watch(&host, "/whep/cam");
    viewer.receives("video", 30);

    let response = request(&host, "DELETE", &viewer.session, String::new());
    assert_eq!(response.status(), 200);
    assert_eq!(host.viewers(), 0);
    eventually("the end of the connection", PATIENCE, || {
        match viewer.seen.lock().unwrap().state {
            Some(RTCPeerConnectionState::Connected) => Err("still connected".to_owned()),
            _ => Ok(()),
        }
    });
}
