//! The answer: the offer's order, mids and payload types; ICE-lite, rtcp-mux, media-level credentials (RFC 9429 §5.3.1).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::missing;
use super::offer::{MediaOffer, Offer, Setup};
use super::publish::TRANSPORT_CC;
use crate::rtp::Media;

pub use super::choose::choose_playback;

/// The feedback this server really answers; the answer holds what the offer has of it (P095).
const FEEDBACK: &[&str] = &["nack", "nack pli", "ccm fir", "goog-remb"];

/// FFmpeg reads answers of at most 8191 bytes (P090, C024).
const ANSWER_MAX: usize = 8191;

/// What one accepted m-section sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaAnswer {
    /// Index of the m-section.
    pub index: usize,
    /// Video or audio.
    pub media: Media,
    /// Payload type taken from the offer.
    pub payload_type: u8,
    /// The `a=fmtp` parameters to answer, empty where none.
    pub fmtp: String,
    /// RTX payload type, where offered for it (RFC 4588); video only.
    pub rtx: Option<u8>,
    /// Id of the transport-wide sequence number, where its feedback is of use.
    pub transport_cc: Option<u8>,
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
    /// Media the stream lacks are answered inactive, not rejected (P086).
    pub inactive: bool,
}

/// Writes the answer; m-sections not in `chosen` are rejected with port 0 (C079: works everywhere). The same arguments
/// give the same text. Candidates that would take it over 8191 bytes are left out, the last first.
#[must_use]
pub fn write_answer(offer: &Offer, chosen: &[MediaAnswer], params: &AnswerParams<'_>) -> String {
    fitting(params, |candidates| {
        write_with(offer, chosen, params, candidates)
    })
}

/// The text `write` makes of as many candidates as fit, best first.
pub(super) fn fitting(
    params: &AnswerParams<'_>,
    write: impl Fn(&[SocketAddr]) -> String,
) -> String {
    let mut candidates = params.candidates.to_vec();
    // Best IPv4 first whatever the configuration's order: FFmpeg uses only the first (C023, C014).
    candidates.sort_by_key(|at| (at.ip().is_loopback(), at.is_ipv6()));
    loop {
        let answer = write(&candidates);
        if answer.len() <= ANSWER_MAX || candidates.len() <= 1 {
            return answer;
        }
        candidates.pop();
    }
}

fn write_with(
    offer: &Offer,
    chosen: &[MediaAnswer],
    params: &AnswerParams<'_>,
    candidates: &[SocketAddr],
) -> String {
    let stands = |index: &usize| {
        chosen.iter().any(|media| media.index == *index)
            || (params.inactive && missing::stands(offer, &offer.media[*index]))
    };
    let accepted_sections: Vec<usize> = (0..offer.media.len()).filter(stands).collect();
    let mut out = Lines(String::with_capacity(4096));
    session_level(&mut out, offer, &accepted_sections, params);
    out.line(format_args!("a=msid-semantic: WMS {}", params.msid));
    let mut first = true;
    for (index, section) in offer.media.iter().enumerate() {
        match chosen.iter().find(|media| media.index == index) {
            Some(media) => {
                accepted(&mut out, offer, section, media, params);
                if std::mem::take(&mut first) {
                    // RFC 9143 §7.1.3: the transport's attributes in the tagged section speak for the whole bundle.
                    write_candidates(&mut out, candidates);
                }
            }
            None if params.inactive && missing::stands(offer, section) => {
                missing::write(&mut out, section, |out| credentials(out, offer, params));
                if std::mem::take(&mut first) {
                    write_candidates(&mut out, candidates);
                }
            }
            None => rejected(&mut out, section),
        }
    }
    out.0
}

/// What stands before the first section.
pub(super) fn session_level(
    out: &mut Lines,
    offer: &Offer,
    accepted: &[usize],
    params: &AnswerParams<'_>,
) {
    out.line(format_args!("v=0"));
    out.line(format_args!("o=- {} 1 IN IP4 0.0.0.0", params.session_id));
    out.line(format_args!("s=-"));
    out.line(format_args!("t=0 0"));
    if offer.bundle.is_some() {
        // RFC 9143 §7.3.2: a rejected section leaves the group.
        let mids: Vec<&str> = accepted
            .iter()
            .filter_map(|index| offer.media.get(*index))
            .map(|section| section.mid.as_str())
            .collect();
        out.line(format_args!("a=group:BUNDLE {}", mids.join(" ")));
    }
    out.line(format_args!("a=ice-lite"));
    out.line(format_args!("a=ice-options:ice2"));
}

fn accepted(
    out: &mut Lines,
    offer: &Offer,
    section: &MediaOffer,
    media: &MediaAnswer,
    params: &AnswerParams<'_>,
) {
    let pt = media.payload_type;
    let rtx = media.rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
    out.line(format_args!(
        "m={} 9 {} {pt}{rtx}",
        section.kind, section.protocol
    ));
    out.line(format_args!("c=IN IP4 0.0.0.0"));
    mid(out, section);
    out.line(format_args!("a=sendonly"));
    transport(out, offer, section, params);
    if let Some(id) = media.transport_cc {
        out.line(format_args!("a=extmap:{id} {TRANSPORT_CC}"));
    }
    codec(out, section, media);
    let ssrc = match media.media {
        Media::Video => params.ssrc.0,
        Media::Audio => params.ssrc.1,
    };
    let track = media.media.name();
    out.line(format_args!("a=msid:{} {track}", params.msid));
    if media.rtx.is_some() {
        out.line(format_args!("a=ssrc-group:FID {ssrc} {}", params.rtx_ssrc));
    }
    out.line(format_args!("a=ssrc:{ssrc} cname:{}", params.cname));
    if media.rtx.is_some() {
        out.line(format_args!(
            "a=ssrc:{} cname:{}",
            params.rtx_ssrc, params.cname
        ));
    }
}

/// The attributes of the transport, at media level.
pub(super) fn transport(
    out: &mut Lines,
    offer: &Offer,
    section: &MediaOffer,
    params: &AnswerParams<'_>,
) {
    out.line(format_args!("a=rtcp-mux"));
    // P083: RFC 8858 asks for it; clients that don't know it need the line above.
    out.line(format_args!("a=rtcp-mux-only"));
    if section.reduced_size {
        out.line(format_args!("a=rtcp-rsize"));
    }
    credentials(out, offer, params);
}

/// Our side of ICE and DTLS.
fn credentials(out: &mut Lines, offer: &Offer, params: &AnswerParams<'_>) {
    // P091: some peers look for the transport's attributes at media level only.
    out.line(format_args!("a=ice-ufrag:{}", params.ufrag));
    out.line(format_args!("a=ice-pwd:{}", params.pwd));
    out.line(format_args!(
        "a=fingerprint:sha-256 {}",
        colons(&params.fingerprint)
    ));
    // P088: passive wherever the client lets us, active only for an offer of passive (FFmpeg, C020).
    let setup = match offer.setup {
        Setup::Active | Setup::ActPass => "passive",
        Setup::Passive => "active",
    };
    out.line(format_args!("a=setup:{setup}"));
}

fn codec(out: &mut Lines, section: &MediaOffer, media: &MediaAnswer) {
    let pt = media.payload_type;
    let Some(codec) = section.codecs.iter().find(|codec| codec.payload_type == pt) else {
        return;
    };
    // Name and channels as offered: GStreamer writes `OPUS/48000` without `/2` (C037) and means ours.
    let channels = match codec.channels {
        1 => String::new(),
        channels => format!("/{channels}"),
    };
    out.line(format_args!(
        "a=rtpmap:{pt} {}/{}{channels}",
        codec.name, codec.clock_rate
    ));
    for feedback in FEEDBACK {
        let offered = codec
            .rtcp_fb
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(feedback));
        // Picture loss is video's only; some players write it for audio as well.
        if offered && (media.media == Media::Video || *feedback == "nack") {
            out.line(format_args!("a=rtcp-fb:{pt} {feedback}"));
        }
    }
    if media.transport_cc.is_some() {
        out.line(format_args!("a=rtcp-fb:{pt} transport-cc"));
    }
    if !media.fmtp.is_empty() {
        out.line(format_args!("a=fmtp:{pt} {}", media.fmtp));
    }
    if let Some(rtx) = media.rtx {
        out.line(format_args!("a=rtpmap:{rtx} rtx/{}", codec.clock_rate));
        out.line(format_args!("a=fmtp:{rtx} apt={pt}"));
    }
}

pub(super) fn rejected(out: &mut Lines, section: &MediaOffer) {
    // RFC 3264 §6: port 0, and any of the offered formats.
    let format = section.formats.first().map_or("0", String::as_str);
    out.line(format_args!(
        "m={} 0 {} {format}",
        section.kind, section.protocol
    ));
    out.line(format_args!("c=IN IP4 0.0.0.0"));
    mid(out, section);
    out.line(format_args!("a=inactive"));
}

pub(super) fn mid(out: &mut Lines, section: &MediaOffer) {
    if !section.mid.is_empty() {
        out.line(format_args!("a=mid:{}", section.mid));
    }
}

/// RFC 8839 §5.1; all of them, for a server can't trickle (P064).
pub(super) fn write_candidates(out: &mut Lines, candidates: &[SocketAddr]) {
    for (index, at) in candidates.iter().enumerate() {
        // RFC 8445 §5.1.2.1: type preference 126 (host), then local preference, component 1. Below 2^31 (P090).
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let local_preference = u32::from(u16::MAX - index);
        let priority = (126 << 24) | (local_preference << 8) | 255;
        let foundation = u32::from(index) + 1;
        let ip: IpAddr = at.ip().to_canonical();
        out.line(format_args!(
            "a=candidate:{foundation} 1 udp {priority} {ip} {} typ host",
            at.port()
        ));
    }
    out.line(format_args!("a=end-of-candidates"));
}

fn colons(digest: &[u8]) -> String {
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Lines that end in CRLF, the last one too (P016).
pub(super) struct Lines(pub(super) String);

impl Lines {
    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.0.write_fmt(text);
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
pub(crate) mod tests;
