//! Text of strangers: offers, fragments, requests.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use corertc::config::numbers::{
    CORERTC_OPT_ENABLE, CORERTC_OPT_PATH_PREFIX, CORERTC_OPT_UDP_LISTEN,
};
use corertc::config::options::Options;
use corertc::ffi::request;
use corertc::rtp::codec::{Codec, TrackFacts};
use corertc::sdp::{
    AnswerParams, Fragment, Offer, choose_playback, restart_fragment, write_answer,
};
use corertc::subsystem::{Hooks, Subsystem};

const CODECS: [Codec; 5] = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

/// An offer is read and, for each video codec, answered. An answer has no line that is not of SDP.
pub fn sdp_offer(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(offer) = Offer::parse(text) else {
        return;
    };
    let facts = |codec| TrackFacts {
        codec,
        profile_level_id: None,
    };
    for codec in CODECS {
        let audio = Some(facts(Codec::Opus));
        let Ok(chosen) = choose_playback(&offer, Some(facts(codec)), audio) else {
            continue;
        };
        let params = AnswerParams {
            ufrag: "ufrag",
            pwd: "the-password-of-the-server",
            fingerprint: [7; 32],
            candidates: &[([192, 0, 2, 1], 5000).into()],
            session_id: 1,
            msid: "stream",
            cname: "cname",
            ssrc: (1, 2),
            rtx_ssrc: 3,
            inactive: input.len().is_multiple_of(2),
        };
        let answer = write_answer(&offer, &chosen, &params);
        assert!(answer.ends_with("\r\n"));
        for line in answer.split_terminator("\r\n") {
            assert!(line.as_bytes().get(1) == Some(&b'='), "{line:?}");
            // A tab is the offer's own, in the parameters that are said back to it.
            let is_bad = |c: char| c.is_control() && c != '\t';
            assert!(!line.contains(is_bad), "{line:?}");
        }
        let restart = restart_fragment(&answer, "ufrag2", "another-password-of-the-server");
        assert!(Fragment::parse(&restart).is_ok(), "{restart}");
    }
}

/// A PATCH's body.
pub fn trickle_fragment(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(fragment) = Fragment::parse(text) {
        assert!(fragment.usable <= 64);
        assert!(fragment.ufrag.is_none_or(|ufrag| ufrag.len() <= 256));
    }
}

/// A request: its first line is method and target, then header lines up to an empty one, then the body. It gets an
/// answer that can be sent, whatever it is.
pub fn http(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (method, target) = first.split_once(' ').unwrap_or((first, "/"));
    let (headers, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let Ok(request) = request::parse(method, target, headers, body.as_bytes()) else {
        return;
    };
    let answer = subsystem()
        .http_handle(request, "192.0.2.9:1234", Duration::ZERO)
        .expect("an answer");
    assert!((200..600).contains(&answer.status().as_u16()));
    assert_ne!(answer.status(), 500);
    for value in answer.headers().values() {
        assert!(
            !value
                .as_bytes()
                .iter()
                .any(|byte| matches!(byte, b'\r' | b'\n'))
        );
    }
}

/// A server with one stream, of which nothing came yet.
fn subsystem() -> &'static Subsystem {
    static ONE: OnceLock<Subsystem> = OnceLock::new();
    ONE.get_or_init(|| {
        let mut options = Options::subsystem();
        options.set_number(CORERTC_OPT_ENABLE, 1).expect("known");
        for (option, text) in [
            (CORERTC_OPT_UDP_LISTEN, "127.0.0.1:0"),
            (CORERTC_OPT_PATH_PREFIX, "/rtc"),
        ] {
            options.set_text(option, text).expect("known");
        }
        let hooks = Hooks {
            teardown: Arc::new(|_| {}),
            whip_teardown: Arc::new(|_| {}),
            auth: Arc::new(|_| None),
        };
        let settings = options.settings().expect("valid");
        let subsystem = Subsystem::new(settings, hooks).expect("a subsystem");
        subsystem
            .process_start("cam", &corertc::config::ProcessSettings::default())
            .expect("legs");
        subsystem
    })
}
