//! Encoder and bit-stream filter arguments per codec, as live WebRTC needs them: no B-frames, no look-ahead,
//! parameter sets in band.

use crate::config::{ProcessSettings, VideoCodec};
use crate::rtp::codec::Codec;

use super::push;

/// Arguments between `-map` and the muxer's for video.
pub(super) fn video(settings: &ProcessSettings) -> Vec<String> {
    let mut args = Vec::with_capacity(32);
    match settings.video_codec {
        VideoCodec::Copy => copy(&mut args, settings.source_codec),
        VideoCodec::Encode(codec) => encode(&mut args, settings, codec),
    }
    // FFmpeg's RTP packetizers of these two are marked experimental. Before FFmpeg 8 there is none for AV1: such an FFmpeg
    // ends at once with "Unsupported codec av1", or goes on without the video where ISOLATE is set.
    if matches!(settings.wire_codec(), Codec::Vp9 | Codec::Av1) {
        push(&mut args, &["-strict", "experimental"]);
    }
    args
}

/// Arguments between `-map` and the muxer's for audio. More than two channels would be "multistream opus", which
/// FFmpeg's RTP muxer refuses: fatal for the whole process.
pub(super) fn audio(settings: &ProcessSettings) -> Vec<String> {
    let mut args = Vec::new();
    push(
        &mut args,
        &[
            "-c:a",
            "libopus",
            "-ar",
            "48000",
            "-ac",
            "2",
            "-b:a",
            &settings.audio_bitrate_bps.to_string(),
            "-application",
            "lowdelay",
            "-frame_duration",
            "20",
        ],
    );
    args
}

/// FLV, MP4 and RTMP keep the parameter sets out of band: they are put in front of every key frame. The order
/// matters, `dump_extra` alone destroys every key frame of such a source.
fn copy(args: &mut Vec<String>, source: Codec) {
    push(args, &["-c:v", "copy"]);
    match source {
        Codec::H264 => push(
            args,
            &["-bsf:v", "h264_mp4toannexb,dump_extra=freq=keyframe"],
        ),
        // The first filter is enough for files; RTSP's parameter sets from SDP come by the second alone.
        Codec::H265 => push(
            args,
            &["-bsf:v", "hevc_mp4toannexb,dump_extra=freq=keyframe"],
        ),
        _ => {}
    }
}

fn encode(args: &mut Vec<String>, settings: &ProcessSettings, codec: Codec) {
    let encoder: &[&str] = match codec {
        Codec::H264 | Codec::Opus => &[
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-tune",
            "zerolatency",
            "-profile:v",
            "baseline",
            "-bf",
            "0",
            "-sc_threshold",
            "0",
        ],
        Codec::H265 => &[
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-forced-idr",
            "1",
            "-x265-params",
            "log-level=error:bframes=0:scenecut=0:repeat-headers=1",
        ],
        Codec::Vp8 => &[
            "-c:v",
            "libvpx",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-error-resilient",
            "1",
            "-lag-in-frames",
            "0",
        ],
        Codec::Vp9 => &[
            "-c:v",
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-error-resilient",
            "1",
            "-lag-in-frames",
            "0",
            "-row-mt",
            "1",
        ],
        Codec::Av1 => &[
            "-c:v",
            "libaom-av1",
            "-usage",
            "realtime",
            "-cpu-used",
            "8",
            "-lag-in-frames",
            "0",
            "-row-mt",
            "1",
        ],
    };
    push(args, encoder);
    let bitrate = settings.video_bitrate_bps.to_string();
    // A source without a known frame rate (RTSP) counts as one of 90,000 a second, and the RTP muxer would have it filled
    // up with copies.
    push(args, &["-pix_fmt", "yuv420p", "-fps_mode", "vfr"]);
    push(args, &["-b:v", &bitrate]);
    if codec != Codec::Av1 {
        push(args, &["-maxrate", &bitrate, "-bufsize", &bitrate]);
    }
    keyframes(args, settings);
}

/// Key frames by time, not by frame count: the frame rate is not known here. Counted from the last forced one, so
/// that a source whose timestamps start high doesn't make every frame a key frame; `-g` bounds the gap if its
/// timestamps jump back.
fn keyframes(args: &mut Vec<String>, settings: &ProcessSettings) {
    let interval_ms = settings.keyframe_interval.as_millis().max(1);
    let (seconds, millis) = (interval_ms / 1000, interval_ms % 1000);
    let forced =
        format!("expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{seconds}.{millis:03}))");
    let bound = (interval_ms * HIGHEST_USUAL_FPS / 1000).clamp(1, 100_000);
    push(
        args,
        &["-g", &bound.to_string(), "-force_key_frames", &forced],
    );
}

/// At this frame rate the bound of `-g` falls together with the forced key frames.
const HIGHEST_USUAL_FPS: u128 = 60;
