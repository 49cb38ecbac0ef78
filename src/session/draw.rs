//! The random values of one session: secret, public id, SSRCs, first sequence numbers.

use aws_lc_rs::rand;

use crate::peer::{RtxSetup, TrackSetup};
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::sdp::MediaAnswer;

/// Random values of one session.
pub(super) struct Drawn {
    pub(super) secret: String,
    pub(super) public: String,
    pub(super) cname: String,
    pub(super) session_id: u64,
    pub(super) video: TrackSetup,
    pub(super) audio: TrackSetup,
    pub(super) rtx_ssrc: u32,
    rtx_first_seq: u16,
}

impl Drawn {
    /// None where the system's random number generator fails.
    pub(super) fn draw() -> Option<Self> {
        let mut bytes = [0_u8; 24 + 8 + 8 + 8 + 32];
        rand::fill(&mut bytes).ok()?;
        let (secret, rest) = bytes.split_at(24);
        let (public, rest) = rest.split_at(8);
        let (cname, rest) = rest.split_at(8);
        let (session_id, rest) = rest.split_at(8);
        let mut words = rest
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        let mut word = || words.next().unwrap_or_default();
        let mut ssrcs = [word(), word(), word()];
        // Three different ones, none of them 0 (which some clients take for "none").
        for index in 0..3 {
            while ssrcs[index] == 0 || ssrcs[..index].contains(&ssrcs[index]) {
                ssrcs[index] = ssrcs[index].wrapping_add(0x9e37_79b9);
            }
        }
        let mut track = |ssrc, codec| TrackSetup {
            ssrc,
            codec,
            payload_type: 0,
            first_seq: (word() & 0x7fff) as u16,
            timestamp_offset: word(),
            rtx: None,
        };
        let (video, audio) = (track(ssrcs[0], Codec::H264), track(ssrcs[1], Codec::Opus));
        Some(Self {
            secret: hex(secret),
            public: hex(public),
            cname: hex(cname),
            // RFC 8829 §5.2.1: a 63-bit number.
            session_id: session_id
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
                >> 1,
            video,
            audio,
            rtx_ssrc: ssrcs[2],
            rtx_first_seq: (word() & 0x7fff) as u16,
        })
    }

    /// The set-up of a track the answer has, which carries `codec`.
    pub(super) fn track(
        &self,
        media: Media,
        codec: Option<Codec>,
        chosen: &[MediaAnswer],
    ) -> Option<TrackSetup> {
        let answer = chosen.iter().find(|answer| answer.media == media)?;
        let drawn = if media == Media::Video {
            self.video
        } else {
            self.audio
        };
        Some(TrackSetup {
            codec: codec?,
            payload_type: answer.payload_type,
            rtx: answer.rtx.map(|payload_type| RtxSetup {
                ssrc: self.rtx_ssrc,
                payload_type,
                first_seq: self.rtx_first_seq,
            }),
            ..drawn
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
