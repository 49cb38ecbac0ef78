//! ICE servers: the form of their URIs (RFC 7064 for STUN, RFC 7065 for TURN). They end up in `Link` headers.

use std::net::Ipv6Addr;

use super::IceServer;
use crate::error::Error;

/// Invalid names the argument at fault.
pub(super) fn check(server: &IceServer) -> Result<(), Error> {
    check_uri(&server.uri).map_err(|why| Error::Invalid(format!("uri: {:?} {why}", server.uri)))?;
    for (name, text) in [
        ("username", &server.username),
        ("credential", &server.credential),
    ] {
        if text.chars().any(char::is_control) {
            return Err(Error::Invalid(format!("{name}: a control character")));
        }
    }
    Ok(())
}

fn check_uri(uri: &str) -> Result<(), &'static str> {
    let (scheme, rest) = uri.split_once(':').ok_or("has no scheme")?;
    let turn = match scheme {
        "stun" | "stuns" => false,
        "turn" | "turns" => true,
        _ => return Err("is neither stun:, stuns:, turn: nor turns:"),
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    match query {
        None => {}
        Some("transport=udp" | "transport=tcp") if turn => {}
        Some(_) if turn => return Err("may end with ?transport=udp or ?transport=tcp only"),
        Some(_) => return Err("may have no query"),
    }
    check_address(address)
}

fn check_address(address: &str) -> Result<(), &'static str> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("has no closing bracket")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("has no IPv6 address between its brackets");
        }
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':').ok_or("has text after its bracket")?),
        };
        (host, port)
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() {
        return Err("has no host");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !host.bytes().all(plain) {
        return Err("has a character in its host that does not belong there");
    }
    match port {
        None => Ok(()),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err("has a port that is not within 1 to 65535"),
        },
        Some(_) => Err("has a port that is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_by_their_rfcs_and_nothing_that_breaks_a_header() {
        for good in [
            "stun:stun.example.org",
            "stun:192.0.2.1:3478",
            "stuns:example.org:5349",
            "turn:example.org",
            "turn:[2001:db8::1]:3478?transport=udp",
            "turns:example.org:443?transport=tcp",
        ] {
            assert_eq!(check_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "stun",
            "stun:",
            "http://example.org",
            "stun:example.org?transport=udp",
            "turn:example.org?transport=sctp",
            "turn:example.org:0",
            "turn:example.org:65536",
            "turn:example.org:+1",
            "stun:exa mple.org",
            "stun:a>; rel=\"x\"",
            "stun:a\r\nX: y",
            "turn:[::1",
            "turn:[nonsense]:1",
            "turn:[::1]x",
        ] {
            assert!(check_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_control_character_in_a_credential_is_named() {
        let server = IceServer {
            uri: "turn:example.org".into(),
            username: "user".into(),
            credential: "a\r\nb".into(),
        };
        assert_eq!(
            check(&server),
            Err(Error::Invalid("credential: a control character".into()))
        );
    }
}
