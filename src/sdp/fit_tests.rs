//! Offers of browsers for VP9, AV1 and H265 against streams of every profile.

use super::super::answer::{choose_playback, tests::write};
use super::super::offer::{Offer, SdpError};
use crate::rtp::codec::{Codec, TrackFacts};
use crate::sdp::offer::tests::{CHROMIUM, PASSIVE};

/// What Chrome with hardware decoders and Safari offer of H265 (draft-ietf-avtcore-hevc-webrtc §4).
const H265: &str = "m=video 9 UDP/TLS/RTP/SAVPF 49 51 53\n\
    a=rtpmap:49 H265/90000\na=fmtp:49 level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST\n\
    a=rtpmap:51 H265/90000\na=fmtp:51 level-id=180;profile-id=2;tier-flag=0;tx-mode=SRST\n\
    a=rtpmap:53 H265/90000\na=fmtp:53 level-id=93;profile-id=1;tier-flag=0;tx-mode=MRST\n";

fn facts(codec: Codec, numbers: [u8; 3]) -> TrackFacts {
    TrackFacts {
        codec,
        profile_level_id: Some(numbers),
    }
}

/// An offer with these video formats in the place of the passive client's own.
fn offering(formats: &str) -> String {
    let kept: Vec<&str> = PASSIVE
        .lines()
        .filter(|line| {
            !["m=video", "a=rtpmap", "a=fmtp", "a=rtcp-fb"]
                .iter()
                .any(|gone| line.starts_with(gone))
        })
        .collect();
    let text = kept.join("\n");
    let at = text.find("a=mid").expect("a mid");
    let session = text[..at].trim_end().to_owned();
    let head = session
        .lines()
        .filter(|line| !line.starts_with("c="))
        .collect::<Vec<_>>()
        .join("\n");
    format!("{head}\n{formats}{}\n", &text[at..])
}

fn answered(offer: &str, stream: TrackFacts) -> Result<String, String> {
    let offer = Offer::parse(offer).expect("a valid offer");
    match choose_playback(&offer, Some(stream), None) {
        Ok(chosen) => Ok(write(&offer, &chosen)),
        Err(SdpError::Unacceptable(why)) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

fn fmtp(answer: &str) -> &str {
    answer
        .split("\r\n")
        .find(|line| line.starts_with("a=fmtp:"))
        .unwrap_or_default()
}

#[test]
fn vp9_is_answered_in_the_streams_profile_only() {
    for profile in [0, 2] {
        let answer = answered(CHROMIUM, facts(Codec::Vp9, [profile, 0, 0])).expect("offered");
        assert!(answer.contains("VP9/90000"));
        assert!(fmtp(&answer).ends_with(&format!("profile-id={profile}")));
    }
    let plain = offering("m=video 9 UDP/TLS/RTP/SAVPF 98\na=rtpmap:98 VP9/90000\n");
    assert!(answered(&plain, facts(Codec::Vp9, [0, 0, 0])).is_ok());
    let why = answered(&plain, facts(Codec::Vp9, [1, 0, 0])).expect_err("10 bits or 4:4:4");
    assert!(why.contains("VP9 (profile 1)"), "{why}");
}

#[test]
fn av1_is_answered_in_the_clients_words_whatever_the_level() {
    let formats = "m=video 9 UDP/TLS/RTP/SAVPF 47 45\n\
        a=rtpmap:45 AV1/90000\na=fmtp:45 level-idx=5;profile=0;tier=0\n\
        a=rtpmap:47 AV1/90000\na=fmtp:47 level-idx=5;profile=1;tier=0\n";
    for (stream, pt) in [([0, 0, 1], 45), ([0, 1, 12], 45), ([1, 0, 5], 47)] {
        let answer = answered(&offering(formats), facts(Codec::Av1, stream)).expect("offered");
        let profile = u8::from(pt == 47);
        assert_eq!(
            fmtp(&answer),
            format!("a=fmtp:{pt} level-idx=5;profile={profile};tier=0")
        );
    }
    // A decoder of the High profile takes Main.
    let high = formats.replace("profile=0", "profile=1");
    assert!(answered(&offering(&high), facts(Codec::Av1, [0, 0, 1])).is_ok());
    let why = answered(&offering(formats), facts(Codec::Av1, [2, 0, 1])).expect_err("12 bits");
    assert!(why.contains("AV1 (profile 2)"), "{why}");
}

#[test]
fn h265_is_answered_by_profile_and_in_a_single_stream() {
    let offer = offering(H265);
    for (stream, pt) in [([1, 0, 120], 49), ([2, 0, 93], 51), ([3, 0, 93], 49)] {
        let answer = answered(&offer, facts(Codec::H265, stream)).expect("offered");
        assert!(
            fmtp(&answer).starts_with(&format!("a=fmtp:{pt} ")),
            "{stream:?}: {answer}"
        );
    }
    let why = answered(&offer, facts(Codec::H265, [4, 0, 93])).expect_err("range extensions");
    assert!(why.contains("H265 (profile 4)"), "{why}");
    // Only Main 10: it takes Main. Nothing said is Main. The client's parameter sets are not the stream's.
    let main10 = H265.replace("profile-id=1", "profile-id=2");
    assert!(answered(&offering(&main10), facts(Codec::H265, [1, 0, 93])).is_ok());
    let bare = "m=video 9 UDP/TLS/RTP/SAVPF 49\na=rtpmap:49 H265/90000\na=fmtp:49 sprop-vps=QAEM;level-id=93\n";
    let answer = answered(&offering(bare), facts(Codec::H265, [1, 0, 93])).expect("offered");
    assert_eq!(fmtp(&answer), "a=fmtp:49 level-id=93");
}

#[test]
fn the_level_decides_between_equal_profiles() {
    let two = "m=video 9 UDP/TLS/RTP/SAVPF 49 51\n\
        a=rtpmap:49 H265/90000\na=fmtp:49 level-id=93;profile-id=1\n\
        a=rtpmap:51 H265/90000\na=fmtp:51 level-id=153;profile-id=1\n";
    let of = |level| answered(&offering(two), facts(Codec::H265, [1, 0, level])).expect("offered");
    assert!(fmtp(&of(90)).starts_with("a=fmtp:49"));
    assert!(fmtp(&of(120)).starts_with("a=fmtp:51"));
    assert!(fmtp(&of(180)).starts_with("a=fmtp:49"), "none is enough");
}

#[test]
fn a_codec_that_is_not_offered_is_named() {
    for codec in [Codec::Vp9, Codec::Av1, Codec::H265] {
        let why = answered(PASSIVE, facts(codec, [1, 0, 0])).expect_err("H264 only");
        assert!(why.contains(codec.name()), "{why}");
    }
}
