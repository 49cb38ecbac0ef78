//! The answer: the offer's order, mids and payload types; ICE-lite, rtcp-mux, media-level credentials (RFC 9429 §5.3.1).

use std::net::SocketAddr;

use super::offer::{MediaOffer, Offer, SdpError};
use crate::rtp::Media;
use crate::rtp::codec::TrackFacts;

/// What one accepted m-section sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaAnswer {
    /// Index of the m-section.
    pub index: usize,
    /// Video or audio.
    pub media: Media,
    /// Payload type taken from the offer.
    pub payload_type: u8,
    /// RTX payload type, where offered for it.
    pub rtx: Option<u8>,
}

/// Everything the writer needs beside the offer.
#[derive(Debug, Clone)]
pub struct AnswerParams<'a> {
    /// Our ICE ufrag.
    pub ufrag: &'a str,
    /// Our ICE password.
    pub pwd: &'a str,
    /// SHA-256 of our certificate.
    pub fingerprint: [u8; 32],
    /// Host candidates, best first (IPv4 host first, loopback last).
    pub candidates: &'a [SocketAddr],
    /// Session id for the o= line.
    pub session_id: u64,
    /// The common stream id of every a=msid.
    pub msid: &'a str,
    /// RTCP CNAME of the a=ssrc lines.
    pub cname: &'a str,
    /// SSRCs: (video, audio).
    pub ssrc: (u32, u32),
    /// RTX SSRC of video, used where RTX was negotiated.
    pub rtx_ssrc: u32,
}

/// Chooses, for a WHEP offer, the payload types that carry the stream's tracks. A codec the offer lacks is
/// [`SdpError::Unacceptable`] naming it (P098); at most one m-section per kind (P085); direction must let us send (P082).
pub fn choose_playback(
    offer: &Offer,
    video: Option<TrackFacts>,
    audio: Option<TrackFacts>,
) -> Result<Vec<MediaAnswer>, SdpError> {
    let _ = (offer, video, audio);
    todo!("built by the sdp helper")
}

/// Writes the answer; m-sections not in `chosen` are rejected (port 0) or answered inactive.
#[must_use]
pub fn write_answer(offer: &Offer, chosen: &[MediaAnswer], params: &AnswerParams<'_>) -> String {
    let _ = (offer, chosen, params);
    let _: Option<&MediaOffer> = None;
    todo!("built by the sdp helper")
}
