//! Which of the offered payload types carry a stream's tracks (RFC 3264 §6, RFC 6184 §8.2.2).

use super::answer::MediaAnswer;
use super::fit;
use super::offer::{CodecOffer, Direction, MediaOffer, Offer, SdpError};
use super::publish::TRANSPORT_CC;
use crate::rtp::Media;
use crate::rtp::codec::{Codec, TrackFacts};

/// Chooses, for a WHEP offer, the payload types that carry the stream's tracks. A codec the offer lacks is
/// [`SdpError::Unacceptable`] naming it (P098); at most one m-section per kind (P085); direction must let us send (P082).
pub fn choose_playback(
    offer: &Offer,
    video: Option<TrackFacts>,
    audio: Option<TrackFacts>,
) -> Result<Vec<MediaAnswer>, SdpError> {
    let mut chosen = Vec::with_capacity(2);
    let receives = "does not receive: a player offers a=recvonly";
    let live = live_sections(offer, Direction::RecvOnly, receives)?;
    for (index, section) in &live {
        let (media, facts) = match section.kind.as_str() {
            "video" => (Media::Video, video),
            _ => (Media::Audio, audio),
        };
        let Some(facts) = facts else {
            continue;
        };
        let codec = best(section, facts).ok_or_else(|| {
            SdpError::Unacceptable(format!(
                "the stream's {} is {}, which m-section {index} does not offer",
                media.name(),
                fit::name(facts)
            ))
        })?;
        chosen.push(MediaAnswer {
            index: *index,
            media,
            payload_type: codec.payload_type,
            fmtp: answered_fmtp(codec, facts),
            // Lost audio is repaired on its own SSRC, if at all: one packet is no burst to keep apart.
            rtx: codec.rtx.filter(|_| media == Media::Video),
            transport_cc: transport_cc(section, codec),
        });
    }
    if chosen.is_empty() {
        return Err(SdpError::Unacceptable(format!(
            "the offer wants none of the stream's tracks ({})",
            tracks(video, audio)
        )));
    }
    // One numbering for all that is sent: in every section, under the same id (RFC 9143 §9.2), or in none.
    let id = chosen[0].transport_cc;
    if chosen.iter().any(|media| media.transport_cc != id) {
        chosen
            .iter_mut()
            .for_each(|media| media.transport_cc = None);
    }
    Ok(chosen)
}

/// The id of the transport-wide sequence number, where the client answers it and has no estimate of its own to tell: a
/// browser with both stops telling (goog-remb), and its estimate costs no bytes in each packet.
fn transport_cc(section: &MediaOffer, codec: &CodecOffer) -> Option<u8> {
    let has = |feedback: &str| {
        let mut offered = codec.rtcp_fb.iter();
        offered.any(|it| it.eq_ignore_ascii_case(feedback))
    };
    let mut extensions = section.extensions.iter();
    let (id, _) = extensions.find(|(_, uri)| uri == TRANSPORT_CC)?;
    // RFC 8285 §4.2: ids of one-byte headers.
    (has("transport-cc") && !has("goog-remb") && (1..15).contains(id)).then_some(*id)
}

/// The audio and video sections that can be answered, with their index: those that go `direction` or both ways; what WHEP
/// or WHIP forbids is an error.
pub(super) fn live_sections<'a>(
    offer: &'a Offer,
    direction: Direction,
    otherwise: &str,
) -> Result<Vec<(usize, &'a MediaOffer)>, SdpError> {
    let wrong = |text: String| Err(SdpError::Unacceptable(text));
    let mut live: Vec<(usize, &'a MediaOffer)> = Vec::new();
    for (index, section) in offer.media.iter().enumerate() {
        let media = matches!(section.kind.as_str(), "audio" | "video");
        if !media || section.rejected || section.codecs.is_empty() {
            continue;
        }
        if let Some((other, _)) = live.iter().find(|(_, other)| other.kind == section.kind) {
            return wrong(format!(
                "m-sections {other} and {index} are both {}: one track per kind",
                section.kind
            ));
        }
        if section.direction != direction && section.direction != Direction::SendRecv {
            return wrong(format!("m-section {index} {otherwise}"));
        }
        live.push((index, section));
    }
    // All sections share one transport: those outside the BUNDLE group can't be answered (P083, P084).
    match &offer.bundle {
        Some(mids) => live.retain(|(_, section)| mids.contains(&section.mid)),
        None if live.len() > 1 => {
            return wrong("several m-sections without a=group:BUNDLE".to_owned());
        }
        None => {}
    }
    Ok(live)
}

fn best(section: &MediaOffer, facts: TrackFacts) -> Option<&CodecOffer> {
    section
        .codecs
        .iter()
        .filter(|codec| codec.codec == Some(facts.codec))
        // P092: 64–95 collide with RTCP under rtcp-mux (RFC 5761 §4).
        .filter(|codec| !(64..96).contains(&codec.payload_type))
        .filter_map(|codec| Some((fit::distance(codec, facts)?, codec)))
        // Equals fall to the offer's order.
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, codec)| codec)
}

/// The offered `a=fmtp` mirrored (C075), with what the stream really is put in.
fn answered_fmtp(codec: &CodecOffer, facts: TrackFacts) -> String {
    match (facts.codec, facts.profile_level_id) {
        // The stream's own profile-level-id where the client offered that profile (P096, C052); else the offer as it
        // is: the profile of a payload type is not the answerer's to change (RFC 6184 §8.2.2).
        (Codec::H264, Some(stream)) if fit::has_profile_of(codec, facts) => {
            let [profile, flags, level] = stream;
            with_parameter(
                &codec.fmtp,
                "profile-level-id",
                &format!("{profile:02x}{flags:02x}{level:02x}"),
            )
        }
        // RFC 7587 §6.1: sprop-… speaks of the sender, which is us; the legs encode stereo.
        (Codec::Opus, _) => with_parameter(&without_sprop(&codec.fmtp), "sprop-stereo", "1"),
        // RFC 7798 §7.1: neither are the client's parameter sets the stream's.
        (Codec::H265, _) => without_sprop(&codec.fmtp),
        // The limits of VP9 and AV1 are the receiver's (RFC 9628 §6.1, AV1's RTP payload specification §7.2): its own words.
        _ => codec.fmtp.clone(),
    }
}

/// `fmtp` with one parameter replaced in its place, or added at the end.
pub(super) fn with_parameter(fmtp: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let mut pairs: Vec<String> = pairs(fmtp)
        .map(|(key, old)| {
            let ours = key.eq_ignore_ascii_case(name);
            found |= ours;
            match if ours { Some(value) } else { old } {
                Some(value) => format!("{key}={value}"),
                None => key.to_owned(),
            }
        })
        .collect();
    if !found {
        pairs.push(format!("{name}={value}"));
    }
    pairs.join(";")
}

pub(super) fn without_sprop(fmtp: &str) -> String {
    let kept: Vec<String> = pairs(fmtp)
        .filter(|(key, _)| !key.to_ascii_lowercase().starts_with("sprop-"))
        .map(|(key, value)| value.map_or(key.to_owned(), |value| format!("{key}={value}")))
        .collect();
    kept.join(";")
}

fn pairs(fmtp: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    fmtp.split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (pair, None),
        })
}

fn tracks(video: Option<TrackFacts>, audio: Option<TrackFacts>) -> String {
    let names: Vec<&str> = [video, audio]
        .iter()
        .flatten()
        .map(|facts| facts.codec.name())
        .collect();
    match names.as_slice() {
        [] => "it has none yet".to_owned(),
        names => names.join(", "),
    }
}
