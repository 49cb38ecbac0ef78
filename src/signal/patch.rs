//! PATCH of a session: trickle ICE and ICE restart (RFC 9725 §4.3.1–4.3.3), in the order that P055 sets.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH};
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::problem::{plain, problem, retry_after, with};
use super::{Request, Signal, exchange};
use crate::sdp::Fragment;
use crate::session::{IfMatch, PatchError, Patched};

/// RFC 5789 §3.1 (P009).
pub(super) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// The media type of trickle ICE fragments (RFC 8840 §9).
pub(super) const SDPFRAG: &str = "application/trickle-ice-sdpfrag";
/// P068.
const BODY_MAX: usize = 32 * 1024;
/// Tags of an If-Match that are looked at.
const TAGS_MAX: usize = 32;

/// Answers a PATCH of a session that is there.
pub(super) async fn patch(signal: &Signal, request: &Request, secret: &str) -> Response<Bytes> {
    let (fragment, if_match) = match read(request) {
        Ok(read) => read,
        Err(refusal) => return *refusal,
    };
    match signal.sessions.patch(secret, &fragment, &if_match).await {
        // P054, P062: no ETag, no body.
        Ok(Patched::Trickled) => plain(StatusCode::NO_CONTENT, Bytes::new()),
        Ok(Patched::Restarted { fragment, etag }) => {
            let mut response = plain(StatusCode::OK, Bytes::from(fragment));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDPFRAG));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // P054, P070: the new one.
            with(response, ETAG, &format!("\"{etag}\""))
        }
        Err(error) => refused(signal, &error),
    }
}

/// Type (415), size (413), form (400).
fn read(request: &Request) -> Result<(Fragment, IfMatch), Box<Response<Bytes>>> {
    let refuse = |status, detail: &str| Box::new(problem(status, detail));
    let kind = exchange::header(request, &CONTENT_TYPE);
    if !exchange::is_type(kind, SDPFRAG) {
        let detail = format!("Content-Type: {SDPFRAG} is needed");
        let response = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail);
        return Err(Box::new(with(response, ACCEPT_PATCH, SDPFRAG)));
    }
    let body = request.http.body();
    if body.len() > BODY_MAX {
        let detail = format!("the fragment is longer than {BODY_MAX} bytes");
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, &detail));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "the fragment is not UTF-8"))?;
    let fragment = Fragment::parse(text)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, &error.to_string()))?;
    Ok((fragment, if_match(request.http.headers())))
}

/// RFC 9110 §13.1.1. RFC 9725's figures show the wildcard in quotes (P053): both forms are it.
fn if_match(headers: &HeaderMap) -> IfMatch {
    let mut tags = Vec::new();
    let mut given = false;
    for line in headers.get_all(IF_MATCH) {
        given = true;
        let line = line.to_str().unwrap_or("");
        for tag in line.split(',').take(TAGS_MAX).map(str::trim) {
            if tag == "*" || tag == "\"*\"" {
                return IfMatch::Any;
            }
            // Strong comparison: `W/"…"` never matches (RFC 9110 §8.8.3.2), nor does what is no entity tag.
            let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            tags.extend(opaque.map(str::to_owned));
        }
    }
    if given {
        IfMatch::Tags(tags)
    } else {
        IfMatch::Missing
    }
}

fn refused(signal: &Signal, error: &PatchError) -> Response<Bytes> {
    let status = match error {
        PatchError::Gone => StatusCode::NOT_FOUND,
        PatchError::Required => StatusCode::PRECONDITION_REQUIRED,
        PatchError::Stale => StatusCode::PRECONDITION_FAILED,
        PatchError::Flood => StatusCode::TOO_MANY_REQUESTS,
        PatchError::Internal(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let response = problem(status, &error.to_string());
    match error {
        PatchError::Flood => {
            signal.counters.http_rate_limited.inc();
            retry_after(response, 1)
        }
        PatchError::Internal(_) => retry_after(response, 1),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&'static str]) -> IfMatch {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_static(line));
        }
        if_match(&headers)
    }

    fn tags(list: &[&str]) -> IfMatch {
        IfMatch::Tags(list.iter().map(|&tag| tag.to_owned()).collect())
    }

    /// P053.
    #[test]
    fn if_match_is_read_as_wildcard_or_list_and_weak_tags_never_match() {
        assert_eq!(read(&[]), IfMatch::Missing);
        for any in [&["*"][..], &["\"*\""], &[" * "], &["\"a\"", "*"]] {
            assert_eq!(read(any), IfMatch::Any, "{any:?}");
        }
        assert_eq!(read(&["\"a\", \"b\"", "\"c\""]), tags(&["a", "b", "c"]));
        assert_eq!(read(&["W/\"a\", \"b\""]), tags(&["b"]));
        for none in ["W/\"a\"", "a", "\"", ""] {
            assert_eq!(read(&[none]), tags(&[]), "{none:?}");
        }
    }
}
