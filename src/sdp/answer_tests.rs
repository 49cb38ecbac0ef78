//! What is answered to real offers: a WHEP player must be able to take it as it stands.

use std::net::SocketAddr;

use super::*;
use crate::rtp::codec::{Codec, TrackFacts};
use crate::sdp::offer::tests::{CHROMIUM, FIREFOX, GSTREAMER, PASSIVE};
use crate::sdp::offer::{Offer, SdpError};

fn facts(codec: Codec) -> Option<TrackFacts> {
    Some(TrackFacts {
        codec,
        profile_level_id: None,
    })
}

fn h264(profile: [u8; 3]) -> Option<TrackFacts> {
    Some(TrackFacts {
        codec: Codec::H264,
        profile_level_id: Some(profile),
    })
}

fn params<'a>(candidates: &'a [SocketAddr]) -> AnswerParams<'a> {
    AnswerParams {
        ufrag: "abcd1234",
        pwd: "0123456789012345678901234567",
        fingerprint: [0xab; 32],
        candidates,
        session_id: 42,
        msid: "corertc",
        cname: "cname0",
        ssrc: (1111, 2222),
        rtx_ssrc: 3333,
        inactive: false,
    }
}

pub(crate) fn write(offer: &Offer, chosen: &[MediaAnswer]) -> String {
    let candidates = [SocketAddr::from(([192, 0, 2, 1], 5000))];
    write_answer(offer, chosen, &params(&candidates))
}

fn answer(text: &str, video: Option<TrackFacts>, audio: Option<TrackFacts>) -> String {
    let offer = Offer::parse(text).expect("a valid offer");
    let chosen = choose_playback(&offer, video, audio).expect("something to answer");
    write(&offer, &chosen)
}

fn refusal(text: &str, video: Option<TrackFacts>, audio: Option<TrackFacts>) -> String {
    let offer = Offer::parse(text).expect("a valid offer");
    match choose_playback(&offer, video, audio) {
        Err(SdpError::Unacceptable(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn has(answer: &str, line: &str) -> bool {
    answer.split("\r\n").any(|each| each == line)
}

/// P016, P080, P082, P083, P085, P088, P090, P091: the whole answer, byte for byte.
#[test]
fn the_answer_to_chromium_is_exactly_this() {
    let text = answer(CHROMIUM, h264([0x42, 0xc0, 0x1e]), facts(Codec::Opus));
    let offer = Offer::parse(CHROMIUM).expect("Chromium's offer");
    let fingerprint = ["AB"; 32].join(":");
    let h264 = offer.media[0].codecs.iter().find(|c| {
        c.fmtp
            .ends_with("packetization-mode=1;profile-level-id=42e01f")
    });
    let h264 = h264.expect("constrained baseline, mode 1");
    let (pt, rtx) = (h264.payload_type, h264.rtx.expect("its RTX"));
    let transport = format!(
        "a=sendonly\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=rtcp-rsize\r\na=ice-ufrag:abcd1234\r\n\
         a=ice-pwd:0123456789012345678901234567\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:passive\r\n"
    );
    let expected = format!(
        "v=0\r\no=- 42 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\na=ice-options:ice2\r\n\
         a=msid-semantic: WMS corertc\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {pt} {rtx}\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n{transport}\
         a=rtpmap:{pt} H264/90000\r\na=rtcp-fb:{pt} nack\r\na=rtcp-fb:{pt} nack pli\r\n\
         a=rtcp-fb:{pt} ccm fir\r\na=rtcp-fb:{pt} goog-remb\r\n\
         a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c01e\r\n\
         a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n\
         a=msid:corertc video\r\na=ssrc-group:FID 1111 3333\r\na=ssrc:1111 cname:cname0\r\na=ssrc:3333 cname:cname0\r\n\
         a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n{}\
         a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1\r\n\
         a=msid:corertc audio\r\na=ssrc:2222 cname:cname0\r\n",
        if offer.media[1].reduced_size {
            transport.clone()
        } else {
            transport.replace("a=rtcp-rsize\r\n", "")
        },
    );
    assert_eq!(text, expected);
}

/// P086, C079: the missing kind is rejected with port 0, leaves the BUNDLE group, and the candidates move on.
#[test]
fn an_audio_only_stream_rejects_video_and_puts_candidates_into_audio() {
    let text = answer(CHROMIUM, None, facts(Codec::Opus));
    assert!(has(&text, "a=group:BUNDLE 1"));
    assert!(text.contains("\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=inactive\r\nm=audio 9 "));
    let audio = text.split("m=audio").nth(1).expect("an audio section");
    assert!(audio.contains("a=candidate:1 ") && audio.contains("a=end-of-candidates"));
}

#[test]
fn a_video_only_stream_rejects_audio() {
    let text = answer(FIREFOX, facts(Codec::Vp8), None);
    assert!(has(&text, "a=group:BUNDLE 0") && has(&text, "m=audio 0 UDP/TLS/RTP/SAVPF 109"));
    assert!(
        has(&text, "m=video 9 UDP/TLS/RTP/SAVPF 120 124")
            && has(&text, "a=fmtp:120 max-fs=12288;max-fr=60")
    );
}

/// P086: answered inactive where the option says so, but never into a group it was not offered in (RFC 9143 §7.3.1).
#[test]
fn a_missing_medium_is_inactive_in_the_bundle_only() {
    let candidates = [SocketAddr::from(([192, 0, 2, 1], 5000))];
    let params = AnswerParams {
        inactive: true,
        ..params(&candidates)
    };
    let inactive = |text: &str| {
        let offer = Offer::parse(text).expect("a valid offer");
        let chosen = choose_playback(&offer, None, facts(Codec::Opus)).expect("audio");
        write_answer(&offer, &chosen, &params)
    };
    let text = inactive(CHROMIUM);
    assert!(has(&text, "a=group:BUNDLE 0 1") && text.contains("\r\nm=video 9 "));
    let text = inactive(&CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1"));
    assert!(has(&text, "a=group:BUNDLE 1") && text.contains("\r\nm=video 0 "));
    let audio = text.split("m=audio").nth(1).expect("an audio section");
    assert!(audio.contains("a=candidate:1 "));
}

/// P087: a data channel is rejected, not refused.
#[test]
fn a_data_channel_section_is_rejected_alone() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n";
    let text = answer(
        &format!("{CHROMIUM}{data}"),
        facts(Codec::Vp8),
        facts(Codec::Opus),
    );
    assert!(
        has(&text, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel") && has(&text, "a=mid:2")
    );
}

/// C036, C037: mids kept, a mode-0 offer taken where nothing else is there, OPUS as written.
#[test]
fn gstreamer_gets_its_own_words_back() {
    let text = answer(GSTREAMER, h264([0x42, 0xc0, 0x1f]), facts(Codec::Opus));
    assert!(has(&text, "a=group:BUNDLE video0 audio1"));
    assert!(has(&text, "a=rtpmap:101 OPUS/48000") && has(&text, "a=rtpmap:96 H264/90000"));
    assert!(has(&text, "a=fmtp:96 profile-level-id=42c01f"));
    assert!(has(&text, "m=audio 9 UDP/TLS/RTP/SAVPF 101"));
}

/// P088, C020: the client offers to be the server, so we are the client; C034: the protocol is echoed.
#[test]
fn a_passive_offer_is_answered_active_and_its_protocol_kept() {
    let text = answer(
        &PASSIVE.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        h264([0x42, 0xc0, 0x1f]),
        None,
    );
    assert!(
        has(&text, "a=setup:active")
            && has(&text, "m=video 9 RTP/AVP 106")
            && has(&text, "a=mid:1")
    );
    let active = answer(
        &PASSIVE.replace("setup:passive", "setup:active"),
        h264([0x42, 0xc0, 0x1f]),
        None,
    );
    assert!(has(&active, "a=setup:passive"));
}

/// P096: the offered format of the stream's own profile is chosen, whatever the offer's order.
#[test]
fn the_h264_format_of_the_streams_profile_is_chosen() {
    let main = answer(CHROMIUM, h264([0x4d, 0x40, 0x28]), None);
    assert!(
        main.contains("packetization-mode=1;profile-level-id=4d4028\r\n"),
        "{main}"
    );
    let baseline = answer(CHROMIUM, h264([0x42, 0x00, 0x28]), None);
    assert!(
        baseline.contains("packetization-mode=1;profile-level-id=420028\r\n"),
        "{baseline}"
    );
}

/// P096: a profile nobody offered is sent anyway, under the closest offered format as it stands.
#[test]
fn a_profile_that_is_not_offered_mirrors_the_offer() {
    let text = answer(PASSIVE, h264([0x64, 0x00, 0x28]), None);
    assert!(has(
        &text,
        "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    ));
}

/// P095: only feedback that is really answered.
#[test]
fn feedback_and_rtx_are_answered_only_as_far_as_they_work() {
    let text = answer(CHROMIUM, facts(Codec::Vp8), facts(Codec::Opus));
    assert!(has(&text, "a=rtcp-fb:96 nack pli") && has(&text, "a=rtcp-fb:96 ccm fir"));
    assert!(has(&text, "a=rtcp-fb:96 nack") && text.contains("rtx/90000"));
    assert!(!text.contains("transport-cc") && !text.contains("extmap"));
    let negotiated = MediaAnswer {
        rtx: Some(97),
        ..MediaAnswer {
            index: 0,
            media: Media::Video,
            payload_type: 96,
            fmtp: String::new(),
            rtx: None,
            transport_cc: None,
        }
    };
    let offer = Offer::parse(CHROMIUM).expect("Chromium's offer");
    let text = write(&offer, &[negotiated]);
    assert!(has(&text, "m=video 9 UDP/TLS/RTP/SAVPF 96 97") && has(&text, "a=fmtp:97 apt=96"));
    assert!(has(&text, "a=ssrc-group:FID 1111 3333") && has(&text, "a=ssrc:3333 cname:cname0"));
}

/// P094, P095: a client that has an estimate of its own tells that, for it would tell one of the two.
#[test]
fn transport_wide_numbers_go_to_clients_that_answer_them_and_have_no_estimate() {
    let without = |lines: &str, what: &str| {
        let kept = lines.lines().filter(|line| !line.contains(what));
        kept.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let extension = |text: &str| {
        let mut lines = text.lines().filter(|line| line.ends_with(TRANSPORT_CC));
        lines.next().map(str::to_owned)
    };
    let offer = without(CHROMIUM, "goog-remb");
    let offered = extension(&offer).expect("Chromium offers it");
    let text = answer(&offer, facts(Codec::Vp8), facts(Codec::Opus));
    assert_eq!(text.matches(&format!("{offered}\r\n")).count(), 2);
    assert_eq!(text.matches(" transport-cc\r\n").count(), 2);
    // Where it isn't for all that is sent, it is for none.
    let audio = offer.find("m=audio").expect("both media");
    let video = offer.find("m=video").expect("both media");
    let (first, second) = offer.split_at(audio.max(video));
    let half = first.to_owned() + &without(second, TRANSPORT_CC);
    for none in [half, without(&offer, "transport-cc"), CHROMIUM.to_owned()] {
        let text = answer(&none, facts(Codec::Vp8), facts(Codec::Opus));
        assert!(!text.contains("transport-cc") && extension(&text).is_none());
    }
}

/// P090, C014, C023: IPv4 host first, loopback last, priorities falling and below 2^31, text below 8192 bytes.
#[test]
fn candidates_are_ordered_and_never_burst_the_answer() {
    let offer = Offer::parse(CHROMIUM).expect("Chromium's offer");
    let chosen = choose_playback(&offer, facts(Codec::Vp8), None).expect("VP8");
    let mut candidates: Vec<SocketAddr> = [
        "127.0.0.1:9",
        "[2001:db8::1]:9",
        "192.0.2.1:9",
        "[::ffff:192.0.2.2]:9",
    ]
    .iter()
    .map(|at| at.parse().expect("an address"))
    .collect();
    let text = write_answer(&offer, &chosen, &params(&candidates));
    let written: Vec<Vec<&str>> = text
        .split("\r\n")
        .filter(|line| line.starts_with("a=candidate"))
        .map(|line| line.split(' ').collect())
        .collect();
    let ips: Vec<&str> = written.iter().map(|fields| fields[4]).collect();
    assert_eq!(ips[0], "192.0.2.1");
    assert_eq!(ips.last(), Some(&"127.0.0.1"));
    let priorities: Vec<u32> = written
        .iter()
        .map(|fields| fields[3].parse().expect("a number"))
        .collect();
    assert!(priorities.windows(2).all(|pair| pair[0] > pair[1]) && priorities[0] < 1 << 31);
    candidates.extend(
        (0..500).map(|i| SocketAddr::from(([10, 0, (i / 250) as u8, (i % 250) as u8], 40_000))),
    );
    let text = write_answer(&offer, &chosen, &params(&candidates));
    assert!(text.len() < 8192 && text.len() > 7000 && text.contains("a=end-of-candidates\r\n"));
}

#[test]
fn a_codec_the_offer_lacks_is_named() {
    // P098, C051: Firefox without H264.
    let why = refusal(FIREFOX, h264([0x42, 0xc0, 0x1f]), facts(Codec::Opus));
    assert!(why.contains("H264") && why.contains("m-section 0"), "{why}");
    assert!(refusal(PASSIVE, None, facts(Codec::Opus)).contains("opus"));
}

/// P082, P084, P085: what WHEP forbids.
#[test]
fn wrong_directions_and_too_many_tracks_are_refused() {
    for direction in ["a=sendonly", "a=inactive"] {
        let why = refusal(
            &PASSIVE.replace("a=recvonly", direction),
            h264([0x42, 0xc0, 0x1f]),
            None,
        );
        assert!(why.contains("a=recvonly"), "{why}");
    }
    let sendrecv = answer(
        &PASSIVE.replace("a=recvonly", "a=sendrecv"),
        h264([0x42, 0xc0, 0x1f]),
        None,
    );
    assert!(has(&sendrecv, "a=sendonly"));
    let unbundled = CHROMIUM.replace("a=group:BUNDLE 0 1\r\n", "");
    assert!(refusal(&unbundled, facts(Codec::Vp8), None).contains("BUNDLE"));
    let single = answer(
        &PASSIVE.replace("a=group:BUNDLE 1\n", ""),
        h264([0x42, 0xc0, 0x1f]),
        None,
    );
    assert!(!single.contains("BUNDLE"));
    let (session, section) = PASSIVE.split_once("m=video").expect("a video section");
    let twice = format!(
        "{session}m=video{section}m=video{}",
        section.replace("a=mid:1", "a=mid:2")
    );
    assert!(refusal(&twice, h264([0x42, 0xc0, 0x1f]), None).contains("one track per kind"));
}
