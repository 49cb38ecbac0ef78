//! The answer to a publisher (RFC 9725 §4.4): receive only, the ingest's codecs, every simulcast layer, the extensions that
//! are read.

use std::net::SocketAddr;

use super::answer::{
    AnswerParams, Lines, fitting, mid, rejected, session_level, transport, write_candidates,
};
use super::choose::{live_sections, with_parameter, without_sprop};
use super::offer::{CodecOffer, Direction, MediaOffer, Offer, SdpError};
use super::section::parameter;
use crate::rtp::Media;
use crate::rtp::codec::Codec;

/// The feedback this server gives to publishers; the answer holds what the offer has of it (P095).
const FEEDBACK: &[&str] = &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"];

const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// What is accepted of one m-section, and what its packets will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishAnswer {
    /// Index of the m-section.
    pub index: usize,
    /// Video or audio.
    pub media: Media,
    /// The codec.
    pub codec: Codec,
    /// Payload type taken from the offer.
    pub payload_type: u8,
    /// RTX payload type, where offered for it.
    pub rtx: Option<u8>,
    /// The `a=fmtp` parameters to answer, empty where none.
    pub fmtp: String,
    /// The feedback to answer.
    pub feedback: Vec<&'static str>,
    /// Simulcast layers, all that are offered (C012); empty where none.
    pub rids: Vec<String>,
    /// Extension ids that are answered, of RTP stream id, its repaired twin, transport-wide numbers.
    pub rid: Option<u8>,
    /// See `rid`.
    pub repaired_rid: Option<u8>,
    /// See `rid`.
    pub transport_cc: Option<u8>,
}

impl PublishAnswer {
    /// Whether this feedback was negotiated.
    #[must_use]
    pub fn has(&self, feedback: &str) -> bool {
        self.feedback.contains(&feedback)
    }
}

/// Chooses, for a WHIP offer, what to receive: the ingest's codec of each medium. A medium the ingest does not read is
/// rejected (port 0), so that nobody encodes it in vain; a publisher may bring one medium alone. Direction must let
/// the client send (P081), at most one section per kind (P085), a codec the offer lacks is 422 with its name; so is one
/// beside `allowed`, where that is not empty (WHIP_CODECS).
pub fn choose_publish(
    offer: &Offer,
    video: Option<Codec>,
    audio: Option<Codec>,
    allowed: &[Codec],
) -> Result<Vec<PublishAnswer>, SdpError> {
    let sends = "does not send: a publisher offers a=sendonly";
    let mut chosen = Vec::with_capacity(2);
    for (index, section) in live_sections(offer, Direction::SendOnly, sends)? {
        let (media, codec) = match section.kind.as_str() {
            "video" => (Media::Video, video),
            _ => (Media::Audio, audio),
        };
        let Some(codec) = codec else { continue };
        if !allowed.is_empty() && !allowed.contains(&codec) {
            return Err(SdpError::Unacceptable(format!(
                "the ingest takes {} as {}, and publishers may send nothing but {} (WHIP_CODECS)",
                media.name(),
                codec.name(),
                names(allowed)
            )));
        }
        let Some(offered) = best(section, codec) else {
            return Err(SdpError::Unacceptable(format!(
                "the ingest takes {} as {}, which m-section {index} does not offer",
                media.name(),
                codec.name()
            )));
        };
        chosen.push(answer(index, media, codec, section, offered));
    }
    if chosen.is_empty() {
        let takes: Vec<Codec> = [video, audio].into_iter().flatten().collect();
        return Err(SdpError::Unacceptable(format!(
            "the offer sends nothing that the ingest takes ({})",
            names(&takes)
        )));
    }
    Ok(chosen)
}

fn names(codecs: &[Codec]) -> String {
    let names: Vec<&str> = codecs.iter().map(|codec| codec.name()).collect();
    names.join(", ")
}

fn answer(
    index: usize,
    media: Media,
    codec: Codec,
    section: &MediaOffer,
    offered: &CodecOffer,
) -> PublishAnswer {
    let extension = |uri: &str| {
        let mut extensions = section.extensions.iter();
        extensions.find(|(_, it)| it == uri).map(|(id, _)| *id)
    };
    let rid = extension(RID);
    let feedback = FEEDBACK.iter().copied().filter(|feedback| {
        let mut all = offered.rtcp_fb.iter();
        // Key frames are video's only.
        (media == Media::Video || !matches!(*feedback, "ccm fir" | "nack pli"))
            && all.any(|it| it.eq_ignore_ascii_case(feedback))
    });
    let feedback: Vec<&'static str> = feedback.collect();
    PublishAnswer {
        index,
        media,
        codec,
        payload_type: offered.payload_type,
        rtx: offered.rtx.filter(|rtx| !(64..96).contains(rtx)),
        fmtp: match codec {
            // RFC 7587 §6.1: `stereo` says that the receiver wants it; `sprop-…` was the sender's word.
            Codec::Opus => with_parameter(&without_sprop(&offered.fmtp), "stereo", "1"),
            // As offered: what is really sent is told by its SPS (P096), and FFmpeg compares it (C075).
            _ => offered.fmtp.clone(),
        },
        // Without the extension layers can't be told apart.
        rids: match rid {
            Some(_) => section.simulcast.clone(),
            None => Vec::new(),
        },
        rid,
        repaired_rid: extension(REPAIRED_RID),
        transport_cc: extension(TRANSPORT_CC).filter(|_| feedback.contains(&"transport-cc")),
        feedback,
    }
}

/// In the offer's order, which is the publisher's preference (C063); packetization-mode 1 before 0 (RFC 6184 §6.2).
fn best(section: &MediaOffer, codec: Codec) -> Option<&CodecOffer> {
    section
        .codecs
        .iter()
        .filter(|offered| offered.codec == Some(codec))
        // P092: 64–95 collide with RTCP under rtcp-mux (RFC 5761 §4).
        .filter(|offered| !(64..96).contains(&offered.payload_type))
        .min_by_key(|offered| match codec {
            Codec::H264 => u8::from(parameter(&offered.fmtp, "packetization-mode") != Some("1")),
            Codec::Vp9 => {
                u8::from(parameter(&offered.fmtp, "profile-id").is_some_and(|id| id != "0"))
            }
            _ => 0,
        })
}

/// Writes the answer; sections not in `chosen` are rejected with port 0. What `params` says of sending is not used.
#[must_use]
pub fn write_publish_answer(
    offer: &Offer,
    chosen: &[PublishAnswer],
    params: &AnswerParams<'_>,
) -> String {
    fitting(params, |candidates| {
        write(offer, chosen, params, candidates)
    })
}

fn write(
    offer: &Offer,
    chosen: &[PublishAnswer],
    params: &AnswerParams<'_>,
    candidates: &[SocketAddr],
) -> String {
    let accepted: Vec<usize> = chosen.iter().map(|media| media.index).collect();
    let mut out = Lines(String::with_capacity(4096));
    session_level(&mut out, offer, &accepted, params);
    let mut first = true;
    for (index, section) in offer.media.iter().enumerate() {
        let Some(media) = chosen.iter().find(|media| media.index == index) else {
            rejected(&mut out, section);
            continue;
        };
        let rtx = media.rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
        out.line(format_args!(
            "m={} 9 {} {}{rtx}",
            section.kind, section.protocol, media.payload_type
        ));
        out.line(format_args!("c=IN IP4 0.0.0.0"));
        mid(&mut out, section);
        // P081: a MUST.
        out.line(format_args!("a=recvonly"));
        transport(&mut out, offer, section, params);
        extensions(&mut out, section, media);
        codec(&mut out, section, media);
        if !media.rids.is_empty() {
            for rid in &media.rids {
                out.line(format_args!("a=rid:{rid} recv"));
            }
            out.line(format_args!("a=simulcast:recv {}", media.rids.join(";")));
        }
        if std::mem::take(&mut first) {
            write_candidates(&mut out, candidates);
        }
    }
    out.0
}

/// P094: what is read, under the offer's ids.
fn extensions(out: &mut Lines, section: &MediaOffer, media: &PublishAnswer) {
    for (id, uri) in &section.extensions {
        let read = match uri.as_str() {
            MID => true,
            RID | REPAIRED_RID => media.media == Media::Video,
            // RFC 8888's forerunner is of use only where its feedback is answered.
            TRANSPORT_CC => media.has("transport-cc"),
            _ => false,
        };
        if read {
            out.line(format_args!("a=extmap:{id} {uri}"));
        }
    }
}

fn codec(out: &mut Lines, section: &MediaOffer, media: &PublishAnswer) {
    let pt = media.payload_type;
    let Some(codec) = section.codecs.iter().find(|codec| codec.payload_type == pt) else {
        return;
    };
    let channels = match codec.channels {
        1 => String::new(),
        channels => format!("/{channels}"),
    };
    let (name, rate) = (&codec.name, codec.clock_rate);
    out.line(format_args!("a=rtpmap:{pt} {name}/{rate}{channels}"));
    for feedback in &media.feedback {
        out.line(format_args!("a=rtcp-fb:{pt} {feedback}"));
    }
    if !media.fmtp.is_empty() {
        out.line(format_args!("a=fmtp:{pt} {}", media.fmtp));
    }
    if let Some(rtx) = media.rtx {
        out.line(format_args!("a=rtpmap:{rtx} rtx/{rate}"));
        out.line(format_args!("a=fmtp:{rtx} apt={pt}"));
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
