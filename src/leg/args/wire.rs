//! What one start draws for its legs: ports, payload types and the common start time.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{ProcessSettings, VideoCodec};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::{Expectation, TrackExpectation};

/// Dynamic payload types (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// What one start draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// V, even; audio's port is V + 1 unless SINGLE_PORT puts both on V.
    pub port: u16,
    /// Payload type of the video leg.
    pub video_payload_type: u8,
    /// Payload type of the audio leg; never the video's.
    pub audio_payload_type: u8,
    /// `-start_time_realtime`, microseconds since the Unix epoch.
    pub start_time_us: u64,
}

impl Wire {
    /// No draw writes longer arguments: for upper bounds.
    pub const LONGEST: Self = Self {
        port: 65_534,
        video_payload_type: 127,
        audio_payload_type: 126,
        start_time_us: u64::MAX,
    };

    /// Draws for the pair at `port`. Payload types differ from those of `before`, so that an FFmpeg which still
    /// writes with the old arguments is told apart.
    #[must_use]
    pub fn draw(port: u16, before: Option<&Self>, now: SystemTime) -> Self {
        let mut taken = Vec::with_capacity(3);
        if let Some(before) = before {
            taken.extend([before.video_payload_type, before.audio_payload_type]);
        }
        let video_payload_type = draw_payload_type(&taken);
        taken.push(video_payload_type);
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            port,
            video_payload_type,
            audio_payload_type: draw_payload_type(&taken),
            start_time_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Where FFmpeg sends this medium.
    #[must_use]
    pub fn port_of(&self, settings: &ProcessSettings, media: Media) -> u16 {
        match media {
            Media::Audio if !settings.single_port => self.port + 1,
            _ => self.port,
        }
    }

    /// The payload type drawn for this medium.
    #[must_use]
    pub fn payload_type_of(&self, media: Media) -> u8 {
        match media {
            Media::Video => self.video_payload_type,
            Media::Audio => self.audio_payload_type,
        }
    }

    /// What the stream is told to expect of FFmpeg.
    #[must_use]
    pub fn expectation(&self, settings: &ProcessSettings) -> Expectation {
        Expectation {
            video: settings.video.then(|| TrackExpectation {
                codec: settings.wire_codec(),
                payload_type: self.video_payload_type,
                copied: settings.video_codec == VideoCodec::Copy,
            }),
            audio: settings.audio.then_some(TrackExpectation {
                codec: Codec::Opus,
                payload_type: self.audio_payload_type,
                copied: false,
            }),
            start_time_us: self.start_time_us,
        }
    }
}

fn draw_payload_type(taken: &[u8]) -> u8 {
    let free: Vec<u8> = DYNAMIC.filter(|it| !taken.contains(it)).collect();
    let mut random = [0_u8; 1];
    // Without randomness the first free one still works; it only tells foreign senders apart less well.
    let _ = aws_lc_rs::rand::fill(&mut random);
    free[usize::from(random[0]) % free.len()]
}
