//! FFmpeg's side: ports, arguments, the receiver that feeds a stream, and what FFmpeg reads an ingest from (over UDP, or
//! from an RTSP server). RTP comes in here and goes to `stream`, or comes from there.

pub mod args;
mod base64;
pub mod four;
pub mod input;
pub mod ports;
pub mod receive;
pub mod rtsp;
pub mod send;

#[cfg(test)]
mod ffmpeg_tests;

/// One FFmpeg argument list (`ConfigIO` of the Go core): options, then the address last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// `corertc_video`, `corertc_audio`, `corertc_av` or `corertc_input`.
    pub id: &'static str,
    /// 1 video, 2 audio, 3 both (`CORERTC_KIND_…`).
    pub kind: u32,
    /// First UDP port of the leg on 127.0.0.1.
    pub rtp_port: u16,
    /// Payload type; 0 where the leg carries more than one.
    pub payload_type: u8,
    /// RTP clock rate in Hz; of the video where the leg carries both.
    pub clock_rate: u32,
    /// The arguments, the address last.
    pub args: Vec<String>,
}
