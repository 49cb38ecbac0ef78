//! What is read from real offers, and what hostile ones are told.

use proptest::prelude::*;

use super::*;
use crate::rtp::codec::TrackFacts;
use crate::sdp::answer::choose_playback;

pub(crate) const CHROMIUM: &str = include_str!("testdata/chromium.sdp");
pub(crate) const FIREFOX: &str = include_str!("testdata/firefox.sdp");
pub(crate) const GSTREAMER: &str = include_str!("testdata/gstreamer.sdp");
/// FFmpeg's shape (C020, C021) turned into a player: passive, one video section with mid 1, LF only.
pub(crate) const PASSIVE: &str = include_str!("testdata/passive.sdp");

fn malformed(text: &str) -> String {
    match Offer::parse(text) {
        Err(SdpError::Malformed(why)) => why,
        other => panic!("not malformed: {other:?}"),
    }
}

fn unacceptable(text: &str) -> String {
    match Offer::parse(text) {
        Err(SdpError::Unacceptable(why)) => why,
        other => panic!("not unacceptable: {other:?}"),
    }
}

#[test]
fn chromiums_offer_is_read_whole() {
    let offer = Offer::parse(CHROMIUM).expect("Chromium's offer");
    assert_eq!(offer.media.len(), 2);
    assert_eq!(offer.setup, Setup::ActPass);
    assert_eq!(offer.bundle, Some(vec!["0".to_owned(), "1".to_owned()]));
    assert_eq!(offer.ice_options, "trickle");
    let video = &offer.media[0];
    assert_eq!((video.kind.as_str(), video.mid.as_str()), ("video", "0"));
    assert_eq!(video.direction, Direction::RecvOnly);
    assert!(video.reduced_size && !video.rejected);
    let vp8 = &video.codecs[0];
    assert_eq!(
        (vp8.payload_type, vp8.codec, vp8.rtx),
        (96, Some(Codec::Vp8), Some(97))
    );
    assert!(vp8.rtcp_fb.iter().any(|fb| fb == "nack pli"));
    // C050: payload types 35–49 as well.
    assert!(
        video
            .codecs
            .iter()
            .any(|codec| (35..50).contains(&codec.payload_type))
    );
    assert!(
        video
            .extensions
            .contains(&(9, "urn:ietf:params:rtp-hdrext:sdes:mid".to_owned()))
    );
}

/// P091: both levels are read.
#[test]
fn firefoxs_session_level_fingerprint_counts() {
    let offer = Offer::parse(FIREFOX).expect("Firefox's offer");
    assert_eq!(offer.fingerprints.len(), 1);
    assert_eq!(offer.ufrag, "f3a7c1d2");
    assert_eq!(offer.media[1].codecs[1].name, "G722");
    assert_eq!(offer.media[1].codecs[1].codec, None);
}

/// C036: `m=audio 0` with `a=bundle-only` is bundled, not rejected; OPUS in capitals without /2 is opus (C037).
#[test]
fn gstreamers_bundle_only_section_is_live() {
    let offer = Offer::parse(GSTREAMER).expect("GStreamer's offer");
    assert!(!offer.media[1].rejected);
    assert_eq!(offer.media[1].codecs[0].codec, Some(Codec::Opus));
    assert_eq!(offer.ufrag.len(), 32);
}

/// C020, C021, C034: passive, a mid that is no index, three fingerprints, feedback for `*`.
#[test]
fn a_passive_offer_with_three_fingerprints_and_bare_newlines_is_read() {
    let offer = Offer::parse(PASSIVE).expect("the offer");
    assert_eq!(offer.setup, Setup::Passive);
    assert_eq!(offer.media[0].mid, "1");
    let hashes: Vec<_> = offer
        .fingerprints
        .iter()
        .map(|(hash, digest)| (hash.as_str(), digest.len()))
        .collect();
    assert_eq!(hashes, [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)]);
    assert_eq!(offer.media[0].codecs[0].rtcp_fb, ["nack pli"]);
}

#[test]
fn a_missing_last_newline_and_bare_newlines_do_not_matter() {
    let bare = CHROMIUM.replace("\r\n", "\n");
    let whole = Offer::parse(CHROMIUM);
    assert_eq!(Offer::parse(bare.trim_end()), whole);
    assert_eq!(Offer::parse(CHROMIUM.trim_end()), whole);
}

#[test]
fn a_section_with_port_zero_is_rejected_and_the_next_one_carries_the_transport() {
    let text = PASSIVE.replace(
        "m=video 9",
        "m=audio 0 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\na=mid:0\nm=video 9",
    );
    let offer = Offer::parse(&text).expect("the offer");
    assert!(offer.media[0].rejected && !offer.media[1].rejected);
    assert_eq!(offer.ufrag, "9d8f7a6b");
}

/// P004: what is not SDP is told by line, P015: without repeating what it said.
#[test]
fn malformed_lines_are_named_by_number() {
    assert_eq!(malformed(""), "it ends too early");
    assert_eq!(
        malformed("v=0\r\n"),
        "line 1 (`v=`) is wrong, or the text ends too early"
    );
    assert_eq!(
        malformed("hello"),
        "line 1 is not of the form <type>=<value>"
    );
    assert_eq!(
        malformed("v=7\r\no=- 1 1 IN IP4 0.0.0.0\r\n"),
        "line 1 (`v=`) is wrong or out of order"
    );
    let secret = "v=0\r\no=secret\r\ns=-\r\n";
    assert_eq!(malformed(secret), "line 2 (`o=`) is wrong or out of order");
    let port = CHROMIUM.replace("m=video 9 ", "m=video 99999 ");
    assert_eq!(malformed(&port), "line 8 (`m=`) is wrong or out of order");
    assert_eq!(
        malformed(&CHROMIUM.replacen("s=-", "s=\u{0}", 1)),
        "line 3 holds a control character"
    );
    assert_eq!(
        malformed(&CHROMIUM.replacen("a=mid:0", "a=mid:0\ra=x", 1))
            .split(' ')
            .nth(2),
        Some("holds")
    );
    assert!(malformed(&"v".repeat(TEXT_MAX + 1)).starts_with("longer than"));
}

#[test]
fn malformed_attributes_are_named() {
    assert!(
        malformed(&PASSIVE.replace("a=ice-ufrag:9d8f7a6b", "a=ice-ufrag:9d8"))
            .contains("a=ice-ufrag")
    );
    assert!(
        malformed(&PASSIVE.replace("a=ice-pwd:9d8f7a6b5c4d3e2f1a0b", "a=ice-pwd:<>"))
            .contains("a=ice-pwd")
    );
    assert!(malformed(&PASSIVE.replace("sha-256 00:01", "sha-256 0:1")).contains("a=fingerprint"));
    assert!(malformed(&PASSIVE.replace("sha-256 00:01:", "sha-256 ")).contains("a=fingerprint"));
    assert!(malformed(&PASSIVE.replace("RTP/SAVPF 106", "RTP/SAVPF 300")).contains("payload type"));
    assert!(malformed(&PASSIVE.replace("H264/90000", "H264")).contains("a=rtpmap:106"));
    assert!(
        malformed(&PASSIVE.replace("a=mid:1", &format!("a=mid:{}", "m".repeat(65))))
            .contains("a=mid")
    );
    let twice = CHROMIUM.replace("a=mid:1", "a=mid:0");
    assert!(malformed(&twice).contains("a=mid"));
    let long = PASSIVE.replace("42e01f", &"4".repeat(600));
    assert!(malformed(&long).contains("a=fmtp:106"));
}

#[test]
fn what_no_server_can_answer_is_unacceptable() {
    let without = |attribute: &str| {
        let lines: Vec<&str> = PASSIVE
            .lines()
            .filter(|line| !line.starts_with(attribute))
            .collect();
        unacceptable(&lines.join("\n"))
    };
    assert!(without("a=ice-ufrag").contains("a=ice-ufrag"));
    assert!(without("a=ice-pwd").contains("a=ice-pwd"));
    assert!(without("a=fingerprint").contains("a=fingerprint"));
    // P083: one port carries RTP and RTCP.
    assert!(without("a=rtcp-mux").contains("a=rtcp-mux"));
    assert!(unacceptable(&PASSIVE.replace("setup:passive", "setup:holdconn")).contains("a=setup"));
    assert!(unacceptable("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n").contains("m="));
    assert!(unacceptable(&PASSIVE.replace("t=0 0", "t=0 0\na=ice-lite")).contains("ice-lite"));
    let many = format!("{PASSIVE}{}", "m=audio 0 RTP/AVP 0\n".repeat(16));
    assert!(unacceptable(&many).contains("more than 16"));
}

fn mutated() -> impl Strategy<Value = String> {
    let offers = prop::sample::select(vec![CHROMIUM, FIREFOX, GSTREAMER, PASSIVE]);
    let edit = (
        any::<prop::sample::Index>(),
        0usize..40,
        prop::sample::select(vec![
            "",
            "\r",
            "\n",
            "a=",
            "m=",
            ":",
            " ",
            "/",
            "=",
            "\0",
            "é",
            "65536",
            "-1",
            "99999999999999999999",
            "\r\na=rtpmap:",
            "\na=fmtp:96 apt=96",
            "m=video 0 a 0\n",
            "t=d h\n",
            "r=d d d\n",
            "\nz=1 é\n",
            "i=\n",
        ]),
    );
    (offers, prop::collection::vec(edit, 1..8)).prop_map(|(offer, edits)| {
        let mut text: Vec<char> = offer.chars().collect();
        for (at, cut, put) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn mutated_offers_never_panic_and_answers_stay_small(text in mutated()) {
        if let Ok(offer) = Offer::parse(&text) {
            let facts = |codec| Some(TrackFacts { codec, profile_level_id: Some([0x42, 0xc0, 0x1f]) });
            for video in [Codec::H264, Codec::Vp8, Codec::Vp9] {
                if let Ok(chosen) = choose_playback(&offer, facts(video), facts(Codec::Opus)) {
                    let answer = crate::sdp::answer::tests::write(&offer, &chosen);
                    prop_assert!(answer.len() < 8192);
                    prop_assert!(answer.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
                    prop_assert_eq!(answer.matches("\r\nm=").count(), offer.media.len());
                }
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,300}") {
        let _ = Offer::parse(&text);
    }
}
