//! Fragments as clients send them, and what is none; the answer to a restart.

use super::*;
use crate::rtp::codec::{Codec, TrackFacts};
use crate::sdp::answer::{choose_playback, tests::write};
use crate::sdp::offer::Offer;
use crate::sdp::offer::tests::{CHROMIUM, FIREFOX};

fn read(text: &str) -> Fragment {
    Fragment::parse(text).expect("a fragment")
}

/// RFC 8840 §9's form, with its example's values.
#[test]
fn a_fragment_of_the_rfc_is_read() {
    let fragment = read(
        "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\n\
         a=candidate:1 1 UDP 2130706431 2001:db8:a0b:12f0::1 5000 typ host\r\n\
         a=candidate:2 1 UDP 1694498815 192.0.2.3 5000 typ srflx raddr 10.0.1.1 rport 5000\r\n\
         a=end-of-candidates\r\n",
    );
    assert_eq!(fragment.ufrag.as_deref(), Some("8hhY"));
    assert_eq!(fragment.pwd.as_deref(), Some("asd88fgpdd777uzjYhagZg"));
    assert_eq!((fragment.usable, fragment.discarded), (2, 0));
    assert!(fragment.end_of_candidates);
}

/// P063: names, TCP and unreadable ones are left aside, the rest is taken.
#[test]
fn candidates_of_no_use_are_discarded_one_by_one() {
    let fragment = read(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=mid:x\n\
         a=candidate:1 1 udp 1 1b2c.local 5000 typ host generation 0 ufrag abcd network-id 1 network-cost 10\n\
         a=candidate:2 1 udp 1 viewer.example 5000 typ host\n\
         a=candidate:3 1 tcp 1 192.0.2.1 9 typ host tcptype active\n\
         a=candidate:4 0 udp 1 192.0.2.1 5000 typ host\n\
         a=candidate:\na=candidate:5 1 udp 1 192.0.2.1 99999 typ host\n",
    );
    assert_eq!((fragment.usable, fragment.discarded), (1, 5));
}

/// P065, P067: what clients leave out, and end-of-candidates alone.
#[test]
fn parts_may_be_missing() {
    assert!(read("a=end-of-candidates").end_of_candidates);
    assert_eq!(read("a=ice-ufrag:abcd\n\n").ufrag.as_deref(), Some("abcd"));
    assert_eq!(
        read("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"),
        Fragment::default()
    );
    // Several sections with the same credentials (C072): the first counts.
    let two =
        read("m=audio 9 RTP/AVP 0\na=ice-ufrag:abcd\nm=video 9 RTP/AVP 0\na=ice-ufrag:efgh\n");
    assert_eq!(two.ufrag.as_deref(), Some("abcd"));
}

/// P060.
#[test]
fn what_is_no_fragment_is_malformed_and_not_repeated() {
    for bad in [
        "",
        "s3cret",
        "{\"candidate\":\"s3cret\"}",
        "v=0\r\ns=s3cret\r\n",
        "a=ice-ufrag:s3c\r\n",
        "a=ice-pwd:s3cret\r\n",
        "a=candidate:s3cret\0",
    ] {
        let error = Fragment::parse(bad).expect_err(bad);
        assert!(matches!(error, SdpError::Malformed(_)), "{error}");
        assert!(!error.to_string().contains("s3c"), "{error}");
    }
}

/// P068.
#[test]
fn candidates_beyond_the_cap_are_discarded() {
    let text = "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\n".repeat(1000);
    let fragment = read(&text);
    assert_eq!((fragment.usable, fragment.discarded), (64, 936));
}

/// P016, P070, P072.
#[test]
fn a_restart_is_answered_with_the_answers_ice_lines_under_new_credentials() {
    let vp8 = Some(TrackFacts {
        codec: Codec::Vp8,
        profile_level_id: None,
    });
    let opus = Some(TrackFacts {
        codec: Codec::Opus,
        profile_level_id: None,
    });
    for (text, video) in [(CHROMIUM, vp8), (FIREFOX, vp8), (CHROMIUM, None)] {
        let offer = Offer::parse(text).expect("an offer");
        let chosen = choose_playback(&offer, video, opus).expect("tracks");
        let answer = write(&offer, &chosen);
        let fragment = restart_fragment(&answer, "newufrag", "newpassword0123456789ab");
        assert!(fragment.ends_with("a=end-of-candidates\r\n"), "{fragment}");
        for line in ["a=ice-lite\r\n", "a=ice-options:ice2\r\n", "a=group:BUNDLE"] {
            assert!(fragment.contains(line) && answer.contains(line), "{line}");
        }
        assert_eq!(fragment.matches("m=").count(), 1, "{fragment}");
        assert_eq!(fragment.matches("a=mid:").count(), 1, "{fragment}");
        assert!(!fragment.contains("abcd1234") && !fragment.contains("fingerprint"));
        assert_eq!(
            fragment.matches('\n').count(),
            fragment.matches("\r\n").count()
        );
        let candidates = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with("a=candidate"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(candidates(&fragment), candidates(&answer));
        let read = read(&fragment);
        assert_eq!(read.ufrag.as_deref(), Some("newufrag"));
        assert_eq!(read.pwd.as_deref(), Some("newpassword0123456789ab"));
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken_calmly(text in "((a|m|v)=(ice-ufrag:|ice-pwd:|candidate:)?\\PC{0,30}\r?\n){0,8}\\PC{0,20}") {
        let _ = Fragment::parse(&text);
        let _ = restart_fragment(&text, "u", "p");
    }
}
