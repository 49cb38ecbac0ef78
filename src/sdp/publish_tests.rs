//! What is answered to the offers of real publishers.

use std::net::SocketAddr;

use super::*;
use crate::sdp::offer::tests::CHROMIUM;

const OBS: &str = include_str!("testdata/obs.sdp");
const FFMPEG: &str = include_str!("testdata/ffmpeg.sdp");

const H264: Option<Codec> = Some(Codec::H264);
const OPUS: Option<Codec> = Some(Codec::Opus);

fn choose(text: &str, video: Option<Codec>, audio: Option<Codec>) -> Vec<PublishAnswer> {
    let offer = Offer::parse(text).expect("a valid offer");
    choose_publish(&offer, video, audio, &[]).expect("something to answer")
}

fn write(text: &str, video: Option<Codec>, audio: Option<Codec>) -> String {
    let offer = Offer::parse(text).expect("a valid offer");
    let candidates = [SocketAddr::from(([192, 0, 2, 1], 5000))];
    let params = AnswerParams {
        ufrag: "abcd1234",
        pwd: "0123456789012345678901234567",
        fingerprint: [0xab; 32],
        candidates: &candidates,
        session_id: 42,
        msid: "corertc",
        cname: "cname0",
        ssrc: (1111, 2222),
        rtx_ssrc: 3333,
        inactive: false,
    };
    write_publish_answer(&offer, &choose(text, video, audio), &params)
}

fn refusal(text: &str, video: Option<Codec>, audio: Option<Codec>) -> String {
    let offer = Offer::parse(text).expect("a valid offer");
    match choose_publish(&offer, video, audio, &[]) {
        Err(SdpError::Unacceptable(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn has(answer: &str, line: &str) -> bool {
    answer.split("\r\n").any(|each| each == line)
}

/// Chromium's player's offer with the directions turned, as its publisher's looks.
fn chromium() -> String {
    CHROMIUM.replace("a=recvonly", "a=sendonly")
}

/// C001, C009, C012, P093: no candidates, no RTX, no TWCC; all layers or OBS aborts.
#[test]
fn obs_gets_all_its_layers() {
    let answer = write(OBS, H264, OPUS);
    for line in [
        "a=simulcast:recv 0;1;2",
        "a=rid:0 recv",
        "a=rid:2 recv",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 goog-remb",
        "a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=setup:passive",
    ] {
        assert!(has(&answer, line), "{line}\n{answer}");
    }
    // The count of layers is read up to the line's end (P016).
    assert!(answer.contains("a=simulcast:recv 0;1;2\r\n"));
    assert!(!answer.contains("rtx"), "{answer}");
}

/// P081: a MUST; and nothing that a sender would say.
#[test]
fn the_answer_only_receives() {
    for text in [OBS.to_owned(), FFMPEG.to_owned(), chromium()] {
        let answer = write(&text, H264, OPUS);
        assert_eq!(answer.matches("a=recvonly\r\n").count(), 2, "{answer}");
        for word in ["a=sendonly", "a=msid:", "a=ssrc:", "sprop-"] {
            assert!(!answer.contains(word), "{word}\n{answer}");
        }
        assert!(answer.len() < 8192 && answer.starts_with("v=0\r\n"));
    }
}

/// C020–C022: passive, no extmap, RTX, payload types of the offer, audio first.
#[test]
fn ffmpeg_in_its_passive_form_is_answered_active() {
    let answer = write(FFMPEG, H264, OPUS);
    for line in [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 9 UDP/TLS/RTP/SAVPF 106 105",
        "a=setup:active",
        "a=rtpmap:105 rtx/90000",
        "a=fmtp:105 apt=106",
        "a=rtcp-fb:106 nack",
        "a=group:BUNDLE 0 1",
    ] {
        assert!(has(&answer, line), "{line}\n{answer}");
    }
    assert!(!answer.contains("extmap:"), "{answer}");
    let chosen = choose(FFMPEG, H264, OPUS);
    assert_eq!((chosen[1].rtx, chosen[1].transport_cc), (Some(105), None));
}

/// P095: feedback of use alone, and transport-wide numbers, without which browsers don't ramp up (C050).
#[test]
fn chromium_gets_feedback_and_extensions() {
    let text = chromium();
    let answer = write(&text, Some(Codec::Vp8), OPUS);
    let chosen = choose(&text, Some(Codec::Vp8), OPUS);
    let video = chosen.iter().find(|it| it.media == Media::Video).unwrap();
    let id = video.transport_cc.expect("offered");
    assert!(has(&answer, &format!("a=extmap:{id} {TRANSPORT_CC}")));
    for feedback in FEEDBACK {
        let line = format!("a=rtcp-fb:{} {feedback}", video.payload_type);
        assert!(has(&answer, &line), "{line}\n{answer}");
    }
    assert!(video.rtx.is_some() && video.rids.is_empty());
    let audio = chosen.iter().find(|it| it.media == Media::Audio).unwrap();
    assert!(!audio.has("nack pli") && audio.fmtp.contains("stereo=1"));
}

/// P081, P085, P086, P098.
#[test]
fn what_cannot_be_taken_is_said() {
    assert!(refusal(CHROMIUM, H264, OPUS).contains("does not send"));
    assert!(refusal(OBS, Some(Codec::Vp8), OPUS).contains("VP8"));
    let audio_only = OBS.replace("m=video 61423", "m=video 0");
    assert!(refusal(&audio_only, H264, None).contains("H264"));
    let twice = OBS.replace("m=audio", "m=video");
    assert!(refusal(&twice, H264, OPUS).contains("one track per kind"));
}

#[test]
fn one_medium_alone_is_enough_and_one_too_many_is_rejected() {
    let audio_only = OBS.replace("m=video 61423", "m=video 0");
    assert_eq!(choose(&audio_only, H264, OPUS).len(), 1);
    let answer = write(OBS, None, OPUS);
    assert!(has(&answer, "m=video 0 UDP/TLS/RTP/SAVPF 96"), "{answer}");
    assert!(has(&answer, "a=group:BUNDLE 0"), "{answer}");
}

#[test]
fn layers_that_are_not_described_or_not_named_properly_are_left_out() {
    let odd = OBS.replace("send 0;1;2", "send 2,~1;7;8!;2");
    let chosen = choose(&odd, H264, OPUS);
    assert_eq!(chosen[1].rids, ["2", "1"]);
    let no_extension = OBS.replace("a=extmap:2", "a=x:2");
    assert!(choose(&no_extension, H264, OPUS)[1].rids.is_empty());
}

#[test]
fn a_codec_that_publishers_may_not_send_is_refused_with_those_they_may() {
    let offer = Offer::parse(&chromium()).expect("a valid offer");
    let choose = |allowed: &[Codec]| choose_publish(&offer, H264, OPUS, allowed);
    let Err(SdpError::Unacceptable(why)) = choose(&[Codec::Vp8, Codec::Opus]) else {
        panic!("not refused");
    };
    assert!(
        why.contains("H264") && why.contains("nothing but VP8, opus (WHIP_CODECS)"),
        "{why}"
    );
    assert_eq!(choose(&[Codec::Opus, Codec::H264]), choose(&[]));
    assert!(choose(&[Codec::H264]).is_err(), "sound is a codec, too");
}

/// C021: a lone picture has mid 1, which is no index.
#[test]
fn ffmpeg_with_a_picture_alone_keeps_its_mid() {
    let audio = FFMPEG.find("m=audio").expect("audio first");
    let video = FFMPEG.find("m=video").expect("a picture");
    let alone = format!("{}{}", &FFMPEG[..audio], &FFMPEG[video..]);
    let answer = write(&alone.replace("BUNDLE 0 1", "BUNDLE 1"), H264, OPUS);
    assert!(has(&answer, "a=group:BUNDLE 1") && has(&answer, "a=mid:1"));
    assert_eq!(answer.matches("m=").count(), 1, "{answer}");
}

/// C063: whichever the client names first; it reorders its encoders by the answer.
#[test]
fn of_several_formats_the_publishers_first_is_taken() {
    let text = chromium();
    let offer = Offer::parse(&text).expect("a valid offer");
    let video = offer.media.iter().find(|it| it.kind == "video");
    let formats = &video.expect("a picture").codecs;
    let whole = |it: &&CodecOffer| {
        it.codec == H264 && parameter(&it.fmtp, "packetization-mode") == Some("1")
    };
    let first = formats.iter().find(whole).expect("H264");
    assert!(formats.iter().filter(whole).count() > 1, "a choice");
    let chosen = choose(&text, H264, OPUS);
    let chosen = chosen.iter().find(|it| it.media == Media::Video);
    assert_eq!(chosen.expect("answered").payload_type, first.payload_type);
}
