//! `Link` headers for ICE servers (RFC 9725 §4.6), and TURN credentials that expire (draft-uberti-behave-turn-rest).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::header::LINK;
use ::http::{HeaderValue, Response};
use aws_lc_rs::hmac;
use bytes::Bytes;

use crate::config::{IceServer, Settings};

/// Adds one `Link` line per ICE server (P106: one each, OBS splits on `,`).
pub(super) fn add(response: &mut Response<Bytes>, settings: &Settings) {
    for server in &settings.ice_servers {
        let line = link(server, settings, SystemTime::now());
        if let Ok(value) = HeaderValue::from_str(&line) {
            response.headers_mut().append(LINK, value);
        }
    }
}

/// Whether any server's line would hold a credential.
pub(super) fn hold_credentials(settings: &Settings) -> bool {
    settings.ice_servers.iter().any(|server| {
        !server.credential.is_empty() || (is_turn(server) && settings.turn_secret.is_some())
    })
}

fn link(server: &IceServer, settings: &Settings, now: SystemTime) -> String {
    let mut line = format!("<{}>; rel=\"ice-server\"", server.uri);
    let credentials = match &settings.turn_secret {
        _ if !server.username.is_empty() => {
            Some((server.username.clone(), server.credential.clone()))
        }
        Some(secret) if is_turn(server) => Some(turn_credentials(secret, settings.turn_ttl, now)),
        _ => None,
    };
    if let Some((username, credential)) = credentials {
        line.push_str(&format!(
            "; username=\"{}\"; credential=\"{}\"; credential-type=\"password\"",
            quoted(&username),
            quoted(&credential)
        ));
    }
    line
}

fn is_turn(server: &IceServer) -> bool {
    server.uri.starts_with("turn:") || server.uri.starts_with("turns:")
}

/// P107: the user name is the time of expiry, the credential its HMAC-SHA1 under the shared secret.
fn turn_credentials(secret: &str, ttl: Duration, now: SystemTime) -> (String, String) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let username = since.saturating_add(ttl).as_secs().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let credential = base64(hmac::sign(&key, username.as_bytes()).as_ref());
    (username, credential)
}

/// The inside of a quoted-string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// RFC 4648 §4, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let sextet = (bits >> (18 - 6 * at)) & 63;
            match at <= chunk.len() {
                true => text.push(char::from(ALPHABET[sextet as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_rfc_4648_section_10() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    /// P107; the value is coreutils' and openssl's: `printf 1000086400 | openssl dgst -sha1 -hmac s3cret -binary | base64`.
    #[test]
    fn turn_credentials_expire_and_are_signed() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let (username, credential) = turn_credentials("s3cret", Duration::from_secs(86_400), now);
        assert_eq!(username, "1000086400");
        assert_eq!(credential, "agxksANw3RPeeRJ7yjmfZNqtEPc=");
    }

    /// P106.
    #[test]
    fn quotes_in_credentials_are_escaped() {
        assert_eq!(quoted("a\"b\\c"), "a\\\"b\\\\c");
    }
}
