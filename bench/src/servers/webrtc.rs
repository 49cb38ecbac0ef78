//! The `webrtc` crate as its examples use it (`broadcast`, `rtp-to-webrtc`): a PeerConnection and a TrackLocalStaticRTP
//! per viewer, default codecs and interceptors, one task that writes each packet to every track.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp::packet::Packet;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::shared::marshal::Unmarshal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
};
use webrtc::runtime::{Sender, channel, default_runtime};

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The payload type its feed sends with; the track puts in the negotiated one.
const PAYLOAD_TYPE: u8 = 96;

#[derive(Clone)]
struct Viewer {
    ssrc: u32,
    track: Arc<TrackLocalStaticRTP>,
    connection: Arc<dyn PeerConnection>,
}

/// Replaced whole when somebody joins, so that the sender takes no lock across a write.
#[derive(Default)]
struct Viewers(RwLock<Arc<Vec<Viewer>>>);

impl Viewers {
    fn now(&self) -> Arc<Vec<Viewer>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Viewer>)) {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        edit(Arc::make_mut(&mut list));
    }
}

/// Listens on ports of the system's choice until the input ends.
pub fn serve() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(crate::host::cores())
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let (http, rtp_port) = runtime
        .block_on(listen())
        .map_err(|error| error.to_string())?;
    super::attend(&format!("http://{http}/whep"), rtp_port, PAYLOAD_TYPE);
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

async fn listen() -> io::Result<(SocketAddr, u16)> {
    let viewers = Arc::new(Viewers::default());
    let leg = UdpSocket::bind("127.0.0.1:0").await?;
    crate::host::grow_receive_buffer(&leg);
    let listener = TcpListener::bind((super::address(), 0)).await?;
    let listening = (listener.local_addr()?, leg.local_addr()?.port());
    tokio::spawn(forward(leg, Arc::clone(&viewers)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let viewers = Arc::clone(&viewers);
            tokio::spawn(async move {
                if let Err(error) = request(stream, &viewers).await {
                    eprintln!("webrtc server: {error}");
                }
            });
        }
    });
    Ok(listening)
}

async fn forward(leg: UdpSocket, viewers: Arc<Viewers>) {
    let mut buffer = vec![0; 2048];
    while let Ok((len, _)) = leg.recv_from(&mut buffer).await {
        let mut datagram = Bytes::copy_from_slice(&buffer[..len]);
        let Ok(packet) = Packet::unmarshal(&mut datagram) else {
            continue;
        };
        for viewer in viewers.now().iter() {
            let mut packet = packet.clone();
            packet.header.ssrc = viewer.ssrc;
            // Fails until the viewer is connected, and once it has left.
            let _ = viewer.track.write_rtp(packet).await;
        }
    }
}

/// One HTTP request: POST opens a session, DELETE ends one.
async fn request(mut stream: TcpStream, viewers: &Viewers) -> Result<(), Failure> {
    let (head, body) = read(&mut stream).await?;
    let mut words = head.split(' ');
    let answer = match (words.next(), words.next()) {
        (Some("POST"), _) => {
            let (ssrc, sdp) = join(body, viewers).await?;
            let length = sdp.len();
            format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /session/{ssrc}\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{sdp}"
            )
        }
        (Some("DELETE"), Some(path)) => {
            let ssrc: u32 = path.rsplit('/').next().unwrap_or_default().parse()?;
            let leaving = viewers
                .now()
                .iter()
                .find(|viewer| viewer.ssrc == ssrc)
                .cloned();
            viewers.change(|list| list.retain(|viewer| viewer.ssrc != ssrc));
            if let Some(viewer) = leaving {
                viewer.connection.close().await?;
            }
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
        }
        _ => "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

pub(super) async fn read(stream: &mut TcpStream) -> Result<(String, String), Failure> {
    let mut request = Vec::with_capacity(8192);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err("the request ended early".into());
        }
        let text = std::str::from_utf8(&request)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
        if body.len() >= length.map_or(Ok(0), str::parse)? {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}

struct Gathering(Sender<()>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Gathering {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.try_send(());
        }
    }
}

async fn join(offer: String, viewers: &Viewers) -> Result<(u32, String), Failure> {
    let mut media_engine = MediaEngine::default();
    media_engine.register_default_codecs()?;
    let registry = register_default_interceptors(Registry::new(), &mut media_engine)?;
    // Left to itself the crate answers `active` even to that.
    let role = if offer.contains("a=setup:active") {
        RTCDtlsRole::Server
    } else {
        RTCDtlsRole::Unspecified
    };
    let settings = SettingEngineBuilder::new()
        .with_answering_dtls_role(role)
        .build();
    let (gathered, mut wait) = channel::<()>(1);
    let connection: Arc<dyn PeerConnection> = Arc::new(
        PeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_media_engine(media_engine)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Gathering(gathered)))
            .with_runtime(default_runtime().ok_or("no runtime")?)
            .with_udp_addrs(vec![SocketAddr::new(super::address(), 0).to_string()])
            .build()
            .await?,
    );
    let ssrc = u32::from_be_bytes(crate::crowd::random());
    let track = Arc::new(track(ssrc));
    connection
        .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
        .await?;
    connection
        .set_remote_description(RTCSessionDescription::offer(offer)?)
        .await?;
    let answer = connection.create_answer(None).await?;
    connection.set_local_description(answer).await?;
    wait.recv().await;
    let answer = connection
        .local_description()
        .await
        .ok_or("no local description")?;
    viewers.change(|list| {
        list.push(Viewer {
            ssrc,
            track,
            connection,
        });
    });
    Ok((ssrc, answer.sdp))
}

fn track(ssrc: u32) -> TrackLocalStaticRTP {
    let codec = RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90000,
        channels: 0,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
            .to_owned(),
        rtcp_feedback: Vec::new(),
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..Default::default()
        },
        codec,
        ..Default::default()
    };
    TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "bench".to_owned(),
        format!("video-{ssrc}"),
        "video".to_owned(),
        RtpCodecKind::Video,
        vec![encoding],
    ))
}
