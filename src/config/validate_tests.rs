//! Every option of a subsystem: its default, what it refuses, and what must fit together.

use std::net::SocketAddr;
use std::time::Duration;

use super::IceServer;
use super::numbers::*;
use super::options::Options;
use crate::error::Error;
use crate::rtp::codec::Codec;

fn with_texts(values: &[(u32, &str)]) -> Options {
    let mut options = Options::subsystem();
    for (option, value) in values {
        assert_eq!(options.set_text(*option, value), Ok(()));
    }
    options
}

fn with_numbers(values: &[(u32, u64)]) -> Options {
    let mut options = Options::subsystem();
    for (option, value) in values {
        assert_eq!(options.set_number(*option, *value), Ok(()));
    }
    options
}

fn fault(options: &Options) -> String {
    match options.settings() {
        Err(Error::Invalid(text)) => text,
        other => panic!("expected Invalid, got {other:?}"),
    }
}

#[test]
fn untouched_options_are_the_documented_defaults() {
    let settings = Options::subsystem().settings().expect("defaults are valid");
    assert!(settings.enable && settings.gso && settings.pages);
    assert!(settings.announce.is_empty());
    assert_eq!(
        settings.udp_listen,
        ["0.0.0.0:0".parse::<SocketAddr>().expect("address")]
    );
    assert_eq!(settings.path_prefix, "");
    assert_eq!(settings.cors_origins, ["*"]);
    assert_eq!((settings.play_token, settings.publish_token), (None, None));
    assert_eq!((settings.tls, settings.turn_secret), (None, None));
    assert_eq!(settings.turn_ttl, Duration::from_secs(86_400));
    assert_eq!(settings.leg_ports, None);
    assert!(settings.workers > 0);
    assert_eq!(
        (settings.max_sessions, settings.max_viewers_per_stream),
        (0, 0)
    );
    assert_eq!(settings.http_timeout, Duration::from_secs(10));
    assert_eq!(settings.http_body_max, 131_072);
    assert_eq!(settings.auth_timeout, Duration::from_secs(4));
    assert_eq!(settings.setup_timeout, Duration::from_secs(10));
    assert_eq!(settings.idle_timeout, Duration::from_secs(30));
    assert_eq!(settings.gop_cache_bytes, 16 << 20);
    assert_eq!(settings.gop_cache, Duration::from_secs(12));
    assert!(!settings.etag_strict && !settings.whip_takeover && !settings.whip_direct);
    assert_eq!(settings.wait_for_stream, Duration::ZERO);
    assert_eq!(settings.stop_linger, Duration::ZERO);
}

#[test]
fn a_bad_text_is_refused_by_its_name() {
    assert_eq!(
        fault(&with_texts(&[(CORERTC_OPT_NAT1TO1_IPS, "x")])),
        "NAT1TO1_IPS: \"x\" is not an IP address"
    );
    let cases = [
        (CORERTC_OPT_PUBLIC_IP, "example.org", "PUBLIC_IP"),
        (CORERTC_OPT_PUBLIC_IP, "0.0.0.0", "PUBLIC_IP"),
        (
            CORERTC_OPT_NAT1TO1_IPS,
            "192.0.2.1,,192.0.2.2",
            "NAT1TO1_IPS",
        ),
        (
            CORERTC_OPT_NAT1TO1_IPS,
            "192.0.2.1, 192.0.2.1",
            "NAT1TO1_IPS",
        ),
        (CORERTC_OPT_UDP_LISTEN, "127.0.0.1", "UDP_LISTEN"),
        (CORERTC_OPT_UDP_LISTEN, "localhost:1", "UDP_LISTEN"),
        (
            CORERTC_OPT_UDP_LISTEN,
            "127.0.0.1:9,127.0.0.1:9",
            "UDP_LISTEN",
        ),
        (CORERTC_OPT_PATH_PREFIX, "live", "PATH_PREFIX"),
        (CORERTC_OPT_PATH_PREFIX, "/a//b", "PATH_PREFIX"),
        (CORERTC_OPT_PATH_PREFIX, "/a/../b", "PATH_PREFIX"),
        (CORERTC_OPT_PATH_PREFIX, "/a?b", "PATH_PREFIX"),
        (CORERTC_OPT_PATH_PREFIX, "/a b", "PATH_PREFIX"),
        (CORERTC_OPT_CORS_ORIGINS, "example.org", "CORS_ORIGINS"),
        (
            CORERTC_OPT_CORS_ORIGINS,
            "https://a.example/",
            "CORS_ORIGINS",
        ),
        (
            CORERTC_OPT_CORS_ORIGINS,
            "*,https://a.example",
            "CORS_ORIGINS",
        ),
        (CORERTC_OPT_AUTH_TOKEN, "a b", "AUTH_TOKEN"),
        (CORERTC_OPT_PLAY_TOKEN, "a\nb", "PLAY_TOKEN"),
        (CORERTC_OPT_PUBLISH_TOKEN, "ä", "PUBLISH_TOKEN"),
    ];
    for (option, value, name) in cases {
        let text = fault(&with_texts(&[(option, value)]));
        assert!(text.starts_with(name), "{value:?}: {text}");
    }
}

#[test]
fn a_number_out_of_its_range_is_refused_by_its_name() {
    let cases = [
        (CORERTC_OPT_ENABLE, 2, "ENABLE"),
        (CORERTC_OPT_LEG_PORT_MIN, 65_536, "LEG_PORT_MIN"),
        (CORERTC_OPT_LEG_PORT_MAX, u64::MAX, "LEG_PORT_MAX"),
        (CORERTC_OPT_WORKERS, 257, "WORKERS"),
        (CORERTC_OPT_MAX_SESSIONS, u64::MAX, "MAX_SESSIONS"),
        (
            CORERTC_OPT_MAX_VIEWERS_PER_STREAM,
            1 << 32,
            "MAX_VIEWERS_PER_STREAM",
        ),
        (CORERTC_OPT_HTTP_TIMEOUT_MS, 0, "HTTP_TIMEOUT_MS"),
        (CORERTC_OPT_HTTP_BODY_MAX, 0, "HTTP_BODY_MAX"),
        (CORERTC_OPT_AUTH_TIMEOUT_MS, 0, "AUTH_TIMEOUT_MS"),
        (CORERTC_OPT_SETUP_TIMEOUT_MS, 0, "SETUP_TIMEOUT_MS"),
        (CORERTC_OPT_IDLE_TIMEOUT_MS, 0, "IDLE_TIMEOUT_MS"),
        (CORERTC_OPT_GSO, 2, "GSO"),
        (CORERTC_OPT_PAGES, 2, "PAGES"),
        (
            CORERTC_OPT_WAIT_FOR_STREAM_MS,
            u64::MAX,
            "WAIT_FOR_STREAM_MS",
        ),
        (CORERTC_OPT_STOP_LINGER_MS, u64::MAX, "STOP_LINGER_MS"),
    ];
    for (option, value, name) in cases {
        let text = fault(&with_numbers(&[(option, value)]));
        assert!(text.starts_with(&format!("{name}: ")), "{value}: {text}");
    }
}

#[test]
fn leg_ports_come_in_pairs_and_hold_at_least_one_pair() {
    let (low, high) = (CORERTC_OPT_LEG_PORT_MIN, CORERTC_OPT_LEG_PORT_MAX);
    assert!(fault(&with_numbers(&[(low, 5000)])).starts_with("LEG_PORT_MAX"));
    assert!(fault(&with_numbers(&[(high, 5000)])).starts_with("LEG_PORT_MIN"));
    for (from, to) in [(6000, 5000), (5001, 5002), (5000, 5000), (65_535, 65_535)] {
        let text = fault(&with_numbers(&[(low, from), (high, to)]));
        assert!(text.starts_with("LEG_PORT_MIN, LEG_PORT_MAX"), "{text}");
    }
    for (from, to) in [(5000, 5001), (5001, 5003), (65_534, 65_535)] {
        let settings = with_numbers(&[(low, from), (high, to)])
            .settings()
            .expect("valid");
        assert_eq!(settings.leg_ports, Some(from as u16..=to as u16));
    }
}

#[test]
fn nat1to1_wins_over_the_public_ip_and_all_of_it_is_announced() {
    let public = (CORERTC_OPT_PUBLIC_IP, "192.0.2.1");
    let settings = with_texts(&[public]).settings().expect("valid");
    assert_eq!(
        settings.announce,
        ["192.0.2.1".parse::<std::net::IpAddr>().expect("ip")]
    );
    let nat = (CORERTC_OPT_NAT1TO1_IPS, "198.51.100.7, 2001:db8::7");
    let settings = with_texts(&[public, nat]).settings().expect("valid");
    let announced: Vec<String> = settings.announce.iter().map(ToString::to_string).collect();
    assert_eq!(announced, ["198.51.100.7", "2001:db8::7"]);
}

/// Where no socket carries any of the announced addresses, no viewer could ever connect.
#[test]
fn announced_addresses_need_a_socket_that_carries_one_of_them() {
    let nat = |ips, listen| {
        let listen = (CORERTC_OPT_UDP_LISTEN, listen);
        with_texts(&[(CORERTC_OPT_NAT1TO1_IPS, ips), listen])
    };
    assert_eq!(
        fault(&nat("2001:db8::1, 2001:db8::2", "0.0.0.0:0")),
        "NAT1TO1_IPS: 2001:db8::1 needs an IPv6 socket in UDP_LISTEN"
    );
    assert_eq!(
        fault(&nat("192.0.2.1", "[2001:db8::9]:0")),
        "NAT1TO1_IPS: 192.0.2.1 needs an IPv4 socket in UDP_LISTEN"
    );
    let public = with_texts(&[(CORERTC_OPT_PUBLIC_IP, "2001:db8::1")]);
    assert!(fault(&public).starts_with("PUBLIC_IP: 2001:db8::1 needs"));
    for listen in ["[::]:0", "0.0.0.0:0,[::]:0", "192.0.2.9:0,[2001:db8::9]:0"] {
        let both = nat("192.0.2.1,2001:db8::1", listen);
        assert!(both.settings().is_ok(), "{listen}");
    }
    assert!(nat("192.0.2.1,2001:db8::1", "0.0.0.0:0").settings().is_ok());
}

#[test]
fn the_common_token_covers_both_actions_and_a_special_one_wins() {
    let both = (CORERTC_OPT_AUTH_TOKEN, "both");
    let settings = with_texts(&[both]).settings().expect("valid");
    assert_eq!(settings.play_token.as_deref(), Some("both"));
    assert_eq!(settings.publish_token.as_deref(), Some("both"));
    let settings = with_texts(&[both, (CORERTC_OPT_PLAY_TOKEN, "play")])
        .settings()
        .expect("valid");
    assert_eq!(settings.play_token.as_deref(), Some("play"));
    assert_eq!(settings.publish_token.as_deref(), Some("both"));
}

#[test]
fn lists_and_prefixes_are_normalised() {
    let settings = with_texts(&[
        (CORERTC_OPT_UDP_LISTEN, "127.0.0.1:0, [::]:7000"),
        (CORERTC_OPT_PATH_PREFIX, "/api/v3/"),
        (
            CORERTC_OPT_CORS_ORIGINS,
            "https://a.example, http://b.example:8080",
        ),
    ])
    .settings()
    .expect("valid");
    assert_eq!(settings.udp_listen.len(), 2);
    assert_eq!(settings.path_prefix, "/api/v3");
    assert_eq!(
        settings.cors_origins,
        ["https://a.example", "http://b.example:8080"]
    );
}

#[test]
fn whip_codecs_are_names_and_all_is_no_limit() {
    let codecs = |text| with_texts(&[(CORERTC_OPT_WHIP_CODECS, text)]).settings();
    let of = |text| codecs(text).expect("valid").whip_codecs;
    assert_eq!((of("all"), of("")), (vec![], vec![]));
    assert_eq!(of("vp8, opus"), [Codec::Vp8, Codec::Opus]);
    for bad in ["theora", "h264,", "all,h264", "OPUS"] {
        match codecs(bad) {
            Err(Error::Unsupported(text)) => assert!(text.starts_with("WHIP_CODECS: "), "{text}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
}

#[test]
fn ice_servers_are_kept_in_order() {
    let mut options = Options::subsystem();
    for uri in ["stun:a.example", "turn:b.example?transport=udp"] {
        let server = IceServer {
            uri: uri.into(),
            username: "u".into(),
            credential: "c".into(),
        };
        assert_eq!(options.add_ice_server(server), Ok(()));
    }
    let settings = options.settings().expect("valid");
    assert_eq!(settings.ice_servers.len(), 2);
    assert_eq!(settings.ice_servers[0].uri, "stun:a.example");
}
