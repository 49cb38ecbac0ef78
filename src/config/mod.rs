//! The host's configuration: validated settings that every other module reads. `options` holds the raw values by number.

pub mod availability;
pub mod certificate;
mod ice;
pub mod numbers;
pub mod options;
mod process;
mod validate;
#[cfg(test)]
mod validate_tests;

pub(crate) use validate::carries;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::rtp::codec::Codec;

/// An ICE server announced to clients in a `Link` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port?transport=udp`.
    pub uri: String,
    /// TURN user name, empty where none.
    pub username: String,
    /// TURN credential, empty where none.
    pub credential: String,
}

/// A whole, valid subsystem configuration.
#[derive(Debug, Clone)]
#[allow(
    missing_docs,
    reason = "each field is the option of the same name in include/corertc.h"
)]
pub struct Settings {
    pub enable: bool,
    /// Addresses announced in answers (NAT1TO1_IPS, else PUBLIC_IP); empty: every interface's, loopback last.
    pub announce: Vec<IpAddr>,
    pub udp_listen: Vec<SocketAddr>,
    /// Empty, or `/prefix` without a trailing slash.
    pub path_prefix: String,
    /// `["*"]` or exact origins.
    pub cors_origins: Vec<String>,
    pub play_token: Option<String>,
    pub publish_token: Option<String>,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub ice_servers: Vec<IceServer>,
    pub turn_secret: Option<String>,
    pub turn_ttl: Duration,
    pub leg_ports: Option<RangeInclusive<u16>>,
    /// Never 0.
    pub workers: usize,
    /// 0: no limit.
    pub max_sessions: u64,
    /// 0: no limit.
    pub max_viewers_per_stream: u64,
    pub http_timeout: Duration,
    pub http_body_max: usize,
    pub auth_timeout: Duration,
    pub setup_timeout: Duration,
    pub idle_timeout: Duration,
    pub gso: bool,
    pub gop_cache_bytes: usize,
    pub gop_cache: Duration,
    pub etag_strict: bool,
    pub pages: bool,
    pub whip_takeover: bool,
    pub whip_direct: bool,
    pub wait_for_stream: Duration,
    pub stop_linger: Duration,
    pub input_transport: InputTransport,
    /// Without a trailing slash.
    pub public_url: Option<String>,
    pub https_only: bool,
    pub raw_token: bool,
    pub private_network: bool,
    pub missing_media: MissingMedia,
    /// Per minute; 0: no limit.
    pub address_rate_max: u32,
    /// 0: no limit.
    pub max_half_open: u64,
    /// What a publisher may send; empty: every codec.
    pub whip_codecs: Vec<Codec>,
}

/// How an offered medium is answered that the stream lacks (P086).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingMedia {
    /// Its section is rejected with port 0.
    Rejected,
    /// Its section is there, and inactive: aiortc reads no answer with a rejected one.
    #[default]
    Inactive,
    /// The offer is refused: 422.
    Refused,
}

/// How FFmpeg reads an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputTransport {
    /// SDP and RTP over UDP ports.
    Udp,
    /// RTSP over TCP.
    Rtsp,
}

/// What FFmpeg encodes video to: `Copy` passes the source's own codec on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// `-c:v copy`; the source's codec is [`ProcessSettings::source_codec`].
    Copy,
    /// An encoder for this codec.
    Encode(Codec),
}

/// A whole, valid per-process configuration (`CORERTC_PROCESS_…`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each field is the option of the same name in include/corertc.h"
)]
pub struct ProcessSettings {
    pub video_map: String,
    pub audio_map: String,
    pub video_codec: VideoCodec,
    pub source_codec: Codec,
    pub video: bool,
    pub audio: bool,
    /// bit/s; default 2 500 000
    pub video_bitrate_bps: u64,
    /// default 2 s
    pub keyframe_interval: Duration,
    /// bit/s; default 128 000
    pub audio_bitrate_bps: u64,
    /// Largest UDP payload FFmpeg writes, RTP header included; default 1200.
    pub pkt_size: u64,
    pub isolate: bool,
    pub single_port: bool,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            video_map: "0:v:0".to_owned(),
            audio_map: "0:a:0".to_owned(),
            video_codec: VideoCodec::Encode(Codec::H264),
            source_codec: Codec::H264,
            video: true,
            audio: true,
            video_bitrate_bps: 2_500_000,
            keyframe_interval: Duration::from_secs(2),
            audio_bitrate_bps: 128_000,
            pkt_size: 1200,
            isolate: false,
            single_port: false,
        }
    }
}

impl ProcessSettings {
    /// The codec that arrives on the video leg.
    #[must_use]
    pub fn wire_codec(&self) -> Codec {
        match self.video_codec {
            VideoCodec::Copy => self.source_codec,
            VideoCodec::Encode(codec) => codec,
        }
    }
}
