//! m-sections of media the stream lacks, answered as inactive (P086): for players that stumble over a rejected one.

use super::answer::{Lines, mid};
use super::offer::{Direction, MediaOffer, Offer};

/// Whether a section can stand in the answer without a track: audio or video over RTP that the player wants, on the one
/// transport there is (RFC 9143 §7.3.1: the answer's group has no section that the offer's hasn't).
pub(super) fn stands(offer: &Offer, section: &MediaOffer) -> bool {
    let bundled = offer.bundle.as_ref();
    bundled.is_some_and(|mids| mids.contains(&section.mid))
        && matches!(section.kind.as_str(), "audio" | "video")
        && !section.rejected
        && !section.codecs.is_empty()
        && section.direction != Direction::Inactive
}

/// Writes it: the offer's first format (RFC 3264 §6.1 wants one), no direction, no SSRC. `transport` writes what the
/// bundle's sections have in common.
pub(super) fn write(out: &mut Lines, section: &MediaOffer, transport: impl FnOnce(&mut Lines)) {
    let Some(codec) = section.codecs.first() else {
        return;
    };
    let pt = codec.payload_type;
    out.line(format_args!(
        "m={} 9 {} {pt}",
        section.kind, section.protocol
    ));
    out.line(format_args!("c=IN IP4 0.0.0.0"));
    mid(out, section);
    out.line(format_args!("a=inactive"));
    out.line(format_args!("a=rtcp-mux"));
    transport(out);
    // A static payload type has no rtpmap (RFC 3551 §6).
    if !codec.name.is_empty() {
        let channels = match codec.channels {
            1 => String::new(),
            channels => format!("/{channels}"),
        };
        out.line(format_args!(
            "a=rtpmap:{pt} {}/{}{channels}",
            codec.name, codec.clock_rate
        ));
    }
    if !codec.fmtp.is_empty() {
        out.line(format_args!("a=fmtp:{pt} {}", codec.fmtp));
    }
}
