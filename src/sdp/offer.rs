//! A client's offer, read with `rtc-sdp` into the few values a server needs.

use crate::rtp::codec::Codec;

/// Why an offer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP: HTTP 400.
    #[error("the offer is not valid SDP: {0}")]
    Malformed(String),
    /// SDP, but nothing this server can answer: HTTP 422.
    #[error("{0}")]
    Unacceptable(String),
}

/// `a=setup` (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setup {
    Active,
    Passive,
    ActPass,
}

/// Direction attribute (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// One payload type of an m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecOffer {
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name as offered.
    pub name: String,
    /// Known codec, or None (rtx, red, ulpfec, G722 …).
    pub codec: Option<Codec>,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Channels; 1 where not said.
    pub channels: u16,
    /// The `a=fmtp` parameters as offered, empty where none.
    pub fmtp: String,
    /// `a=rtcp-fb` values of this payload type (and of `*`).
    pub rtcp_fb: Vec<String>,
    /// The RTX payload type that repairs this one (`apt=`), if offered.
    pub rtx: Option<u8>,
}

/// One m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaOffer {
    /// `audio`, `video`, `application` …
    pub kind: String,
    /// `a=mid`; empty where none.
    pub mid: String,
    /// Port 0 without `a=bundle-only`.
    pub rejected: bool,
    /// As offered, e.g. `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The formats of the m-line as written.
    pub formats: Vec<String>,
    /// Direction.
    pub direction: Direction,
    /// Payload types in the offer's order.
    pub codecs: Vec<CodecOffer>,
    /// `a=extmap`: (id, URI).
    pub extensions: Vec<(u8, String)>,
    /// `a=rtcp-rsize` present.
    pub reduced_size: bool,
}

/// A whole offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// ICE ufrag (media level first, else session level).
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// DTLS role offered.
    pub setup: Setup,
    /// Fingerprints: (hash name in lower case, bytes).
    pub fingerprints: Vec<(String, Vec<u8>)>,
    /// All m-sections in order.
    pub media: Vec<MediaOffer>,
    /// `a=group:BUNDLE` mids, None where absent.
    pub bundle: Option<Vec<String>>,
    /// `a=ice-options` holds `trickle` or any.
    pub ice_options: String,
}

impl Offer {
    /// Reads an offer. Errors are [`SdpError::Malformed`] (400) or [`SdpError::Unacceptable`] (422).
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let _ = text;
        todo!("built by the sdp helper")
    }
}
