//! The `webrtc` crate as its `rtp-forwarder` example uses it, behind WHIP: a task for each track that polls it, sets the payload
//! type and writes to a UDP port; a key frame is asked for every three seconds.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rtc::interceptor::Registry;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::shared::marshal::{Marshal, MarshalSize};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
};
use webrtc::runtime::{Sender, channel, default_runtime};

use super::webrtc::{Failure, read};

const VIDEO_PAYLOAD_TYPE: u8 = 96;
const AUDIO_PAYLOAD_TYPE: u8 = 111;
const KEY_FRAME_EVERY: Duration = Duration::from_secs(3);

/// They live as long as the process.
type Connections = Arc<Mutex<Vec<Arc<dyn PeerConnection>>>>;

/// Listens on a port of the system's choice until the input ends.
pub fn serve() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(crate::host::cores())
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let http = runtime
        .block_on(listen())
        .map_err(|error| error.to_string())?;
    let ports = super::ports();
    let input = |port: &u16| json!({"whip": format!("http://{http}/whip/{port}"), "udp": port});
    super::attend_inputs(&ports.iter().map(input).collect::<Vec<_>>());
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

async fn listen() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((super::address(), 0)).await?;
    let address = listener.local_addr()?;
    let connections = Connections::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move {
                if let Err(error) = request(stream, &connections).await {
                    eprintln!("webrtc-whip server: {error}");
                }
            });
        }
    });
    Ok(address)
}

/// `POST /whip/PORT` publishes to PORT and PORT + 2; everything else is answered and ignored.
async fn request(mut stream: TcpStream, connections: &Connections) -> Result<(), Failure> {
    let (head, body) = read(&mut stream).await?;
    let answer = match head.strip_prefix("POST /whip/") {
        Some(rest) => {
            let port = rest.split(' ').next().unwrap_or_default().parse()?;
            let (connection, sdp) = publish(body, port).await?;
            let mut list = connections.lock().unwrap_or_else(PoisonError::into_inner);
            list.push(connection);
            let length = sdp.len();
            format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /session/{port}\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{sdp}"
            )
        }
        None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

struct Handler {
    gathered: Sender<()>,
    port: u16,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let (port, payload_type) = match track.kind().await {
            RtpCodecKind::Video => (self.port, VIDEO_PAYLOAD_TYPE),
            RtpCodecKind::Audio => (self.port + 2, AUDIO_PAYLOAD_TYPE),
            _ => return,
        };
        if port == self.port {
            tokio::spawn(ask_for_key_frames(Arc::clone(&track)));
        }
        tokio::spawn(async move {
            if let Err(error) = forward(track.as_ref(), port, payload_type).await {
                eprintln!("webrtc-whip server: {error}");
            }
        });
    }
}

async fn ask_for_key_frames(track: Arc<dyn TrackRemote>) {
    let Some(&media_ssrc) = track.ssrcs().await.first() else {
        return;
    };
    loop {
        tokio::time::sleep(KEY_FRAME_EVERY).await;
        let request = PictureLossIndication {
            sender_ssrc: 0,
            media_ssrc,
        };
        if track.write_rtcp(vec![Box::new(request)]).await.is_err() {
            return;
        }
    }
}

async fn forward(track: &dyn TrackRemote, port: u16, payload_type: u8) -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let mut buffer = vec![0; 1500];
    while let Some(event) = track.poll().await {
        if let TrackRemoteEvent::OnRtpPacket(mut packet) = event {
            packet.header.payload_type = payload_type;
            if packet.marshal_size() > buffer.len() {
                continue;
            }
            let len = packet.marshal_to(&mut buffer)?;
            match socket.send_to(&buffer[..len], ("127.0.0.1", port)).await {
                Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

async fn publish(offer: String, port: u16) -> Result<(Arc<dyn PeerConnection>, String), Failure> {
    let mut media_engine = MediaEngine::default();
    media_engine.register_default_codecs()?;
    let registry = register_default_interceptors(Registry::new(), &mut media_engine)?;
    let (gathered, mut wait) = channel::<()>(1);
    let connection: Arc<dyn PeerConnection> = Arc::new(
        PeerConnectionBuilder::new()
            .with_media_engine(media_engine)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Handler { gathered, port }))
            .with_runtime(default_runtime().ok_or("no runtime")?)
            .with_udp_addrs(vec![SocketAddr::new(super::address(), 0).to_string()])
            .build()
            .await?,
    );
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        let receive = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            ..Default::default()
        };
        let added = connection.add_transceiver_from_kind(kind, Some(receive));
        added.await?;
    }
    let offer = RTCSessionDescription::offer(offer)?;
    connection.set_remote_description(offer).await?;
    let answer = connection.create_answer(None).await?;
    connection.set_local_description(answer).await?;
    wait.recv().await;
    let answer = connection.local_description().await;
    Ok((connection, answer.ok_or("no local description")?.sdp))
}
