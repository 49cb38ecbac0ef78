//! PATCH with an SDP fragment (RFC 8840): candidates of the client. This server is ICE-lite and learns addresses from
//! checks, so that a sound fragment is enough; a restart is refused.

use ::http::header::{CONTENT_TYPE, IF_MATCH};
use ::http::{HeaderName, Response, StatusCode};
use bytes::Bytes;

use super::problem::{plain, problem, with};
use super::whep::header;
use super::{Request, Signal};
use crate::session::IceSession;

/// `Accept-Patch` (RFC 5789 §3.1).
pub(super) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The media type of a fragment.
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// P068.
const BODY_MAX: usize = 32 * 1024;

/// Answers a PATCH of a live session, in P055's order: type, form, precondition, sense.
pub(super) fn patch(signal: &Signal, request: &Request, secret: &str) -> Response<Bytes> {
    let Some(ice) = signal.sessions.ice(secret) else {
        return problem(StatusCode::NOT_FOUND, "this session has ended");
    };
    let essence = header(request, &CONTENT_TYPE).split(';').next();
    if !essence.is_some_and(|it| it.trim().eq_ignore_ascii_case(FRAGMENT)) {
        let detail = format!("Content-Type: {FRAGMENT} is needed");
        let response = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail);
        return with(response, ACCEPT_PATCH, FRAGMENT);
    }
    let body = request.http.body();
    if body.len() > BODY_MAX {
        let detail = format!("the fragment is longer than {BODY_MAX} bytes");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &detail);
    }
    let fragment = match Fragment::read(body) {
        Ok(fragment) => fragment,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let tags = header(request, &IF_MATCH);
    if let Err((status, detail)) = precondition(tags, &ice, signal.settings.etag_strict) {
        return problem(status, detail);
    }
    let other = fragment.ufrag.is_some_and(|it| it != ice.remote_ufrag);
    if other && fragment.has_pwd {
        // P061: the half that is not supported.
        let detail = "new ICE credentials: this server does not restart ICE for publishers";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
    }
    if other {
        // P069: discarded, but not without a word.
        tracing::debug!("a fragment of another ICE session was ignored");
    }
    // P062, P063: whatever candidates it holds. P054: without ETag.
    plain(StatusCode::NO_CONTENT, Bytes::new())
}

/// P051–P053: `*` in either form, or the session's strong tag among those listed. No If-Match is let pass unless strict.
fn precondition(
    tags: &str,
    ice: &IceSession,
    strict: bool,
) -> Result<(), (StatusCode, &'static str)> {
    if tags.is_empty() {
        return match strict {
            true => Err((
                StatusCode::PRECONDITION_REQUIRED,
                "If-Match: the ETag of the 201 is needed",
            )),
            false => Ok(()),
        };
    }
    let ours = format!("\"{}\"", ice.etag);
    let matches = |tag: &str| tag == "*" || tag == "\"*\"" || tag == ours;
    if tags.split(',').map(str::trim).any(matches) {
        return Ok(());
    }
    Err((
        StatusCode::PRECONDITION_FAILED,
        "If-Match: not the ETag of this ICE session",
    ))
}

/// What counts of a fragment.
#[derive(Debug, PartialEq, Eq)]
struct Fragment<'a> {
    ufrag: Option<&'a str>,
    has_pwd: bool,
}

impl<'a> Fragment<'a> {
    /// P065: any order, any m-line, LF or CRLF; but lines of SDP.
    fn read(body: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "the fragment is not UTF-8".to_owned())?;
        let mut fragment = Self {
            ufrag: None,
            has_pwd: false,
        };
        let mut any = false;
        for (number, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            any = true;
            let [kind, b'=', ..] = line.as_bytes() else {
                return Err(format!(
                    "line {} is not of the form <type>=<value>",
                    number + 1
                ));
            };
            if !kind.is_ascii_lowercase() {
                return Err(format!(
                    "line {} is not of the form <type>=<value>",
                    number + 1
                ));
            }
            if let Some(ufrag) = line.strip_prefix("a=ice-ufrag:") {
                fragment.ufrag = Some(ufrag.trim());
            }
            fragment.has_pwd |= line.starts_with("a=ice-pwd:");
        }
        match any {
            true => Ok(fragment),
            false => Err("the fragment is empty".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P065: as whip-whep-js sends it (C070), and with LF.
    #[test]
    fn fragments_of_real_clients_are_read() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\na=end-of-candidates\r\n";
        for text in [text.to_owned(), text.replace('\r', "")] {
            let fragment = Fragment::read(text.as_bytes()).expect("sound");
            assert_eq!((fragment.ufrag, fragment.has_pwd), (Some("EsAw"), true));
        }
        for bad in ["", "\r\n", "hello", "A=x", "a=x\n<html>"] {
            assert!(Fragment::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Fragment::read(&[0xff]).is_err());
    }

    #[test]
    fn tags_are_compared_as_rfc_9110_says() {
        let ice = IceSession {
            etag: "abc".to_owned(),
            remote_ufrag: String::new(),
        };
        let status = |tags: &str, strict| match precondition(tags, &ice, strict) {
            Ok(()) => 0,
            Err((status, _)) => status.as_u16(),
        };
        for good in ["\"abc\"", "*", "\"*\"", "\"x\", \"abc\""] {
            assert_eq!(status(good, true), 0, "{good}");
        }
        for stale in ["\"abd\"", "abc", "W/\"abc\""] {
            assert_eq!(status(stale, false), 412, "{stale}");
        }
        assert_eq!((status("", true), status("", false)), (428, 0));
    }
}
