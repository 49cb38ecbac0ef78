//! What WHEP's and WHIP's POST share: reading the offer, the 201 with the answer, and which status a refusal has.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use ::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::cors::{ACCEPT_POST, SDP};
use super::problem::{plain, problem, retry_after, with};
use super::{Request, Signal, links, patch, route};
use crate::sdp::offer::{Offer, SdpError};
use crate::session::{Created, SessionError};

/// P007: methods of an endpoint.
pub(super) const ENDPOINT_METHODS: &str = "GET, HEAD, OPTIONS, POST";
/// Seconds a player waits when a limit is reached (P013).
const RETRY_LIMIT_S: u32 = 5;
/// Seconds after which a publisher that crashed no longer holds its ingest (P048).
const RETRY_BUSY_S: u32 = 3;
/// Seconds after which a fault of the machine may have passed.
const RETRY_INTERNAL_S: u32 = 2;

/// The body as an offer: type (415), size (413), form (400) and sense (422), in this order (P004, P055).
pub(super) fn offer(signal: &Signal, request: &Request) -> Result<Offer, Box<Response<Bytes>>> {
    let refuse = |status, detail: &str| Box::new(problem(status, detail));
    if !is_type(header(request, &CONTENT_TYPE), SDP) {
        let detail = "Content-Type: application/sdp is needed";
        let response = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(Box::new(with(response, ACCEPT_POST, SDP)));
    }
    let body = request.http.body();
    if body.len() > signal.settings.http_body_max {
        return Err(Box::new(too_large(signal)));
    }
    if body.is_empty() {
        // P103, the server's own offer, is not there: Eyevinn's player takes 400 for "not that way".
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "the body is empty: an SDP offer is needed",
        ));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "the offer is not UTF-8"))?;
    Offer::parse(text).map_err(|error| Box::new(sdp_problem(&error)))
}

/// 413, for a body above HTTP_BODY_MAX.
pub(crate) fn too_large(signal: &Signal) -> Response<Bytes> {
    let limit = signal.settings.http_body_max;
    let detail = format!("the body is longer than HTTP_BODY_MAX, {limit} bytes");
    problem(StatusCode::PAYLOAD_TOO_LARGE, &detail)
}

pub(super) fn created_answer(
    signal: &Signal,
    kind: &str,
    id: &str,
    created: Created,
) -> Response<Bytes> {
    let Created {
        secret,
        answer,
        etag,
    } = created;
    let mut response = plain(StatusCode::CREATED, Bytes::from(answer));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    // P016.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // P010: an absolute path without query; behind a known public URL a whole one.
    let base = signal.settings.public_url.as_deref().unwrap_or("");
    let prefix = &signal.settings.path_prefix;
    let location = format!("{base}{prefix}/{kind}/{}/{secret}", route::encode(id));
    let response = with(response, LOCATION, &location);
    let response = with(response, patch::ACCEPT_PATCH, patch::SDPFRAG);
    // P050.
    let mut response = with(response, ETAG, &format!("\"{etag}\""));
    links::add(&mut response, &signal.settings);
    response
}

/// 204 with the methods there are.
pub(super) fn allowed(methods: &'static str) -> Response<Bytes> {
    let response = plain(StatusCode::NO_CONTENT, Bytes::new());
    // P008: on any OPTIONS.
    with(
        with(response, ::http::header::ALLOW, methods),
        ACCEPT_POST,
        SDP,
    )
}

pub(super) fn session_problem(error: &SessionError) -> Response<Bytes> {
    let text = error.to_string();
    match error {
        SessionError::Sdp(error) => sdp_problem(error),
        SessionError::Limit(_) => retry_after(
            problem(StatusCode::SERVICE_UNAVAILABLE, &text),
            RETRY_LIMIT_S,
        ),
        SessionError::Busy => retry_after(problem(StatusCode::CONFLICT, &text), RETRY_BUSY_S),
        SessionError::Closing => problem(StatusCode::NOT_FOUND, &text),
        SessionError::Internal(_) => retry_after(
            problem(StatusCode::SERVICE_UNAVAILABLE, &text),
            RETRY_INTERNAL_S,
        ),
    }
}

fn sdp_problem(error: &SdpError) -> Response<Bytes> {
    let status = match error {
        SdpError::Malformed(_) => StatusCode::BAD_REQUEST,
        SdpError::Unacceptable(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    problem(status, &error.to_string())
}

/// P002: compared without case, parameters ignored.
pub(super) fn is_type(content_type: &str, wanted: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("");
    essence.trim().eq_ignore_ascii_case(wanted)
}

pub(super) fn header<'a>(request: &'a Request, name: &::http::HeaderName) -> &'a str {
    let value = request.http.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P002: flutter-whip sends a charset (C062).
    #[test]
    fn the_media_type_is_compared_without_case_and_parameters() {
        for good in [
            "application/sdp",
            "Application/SDP",
            "application/sdp; charset=utf-8",
            " application/sdp ;x",
        ] {
            assert!(is_type(good, SDP), "{good}");
        }
        for bad in [
            "",
            "application/sdpx",
            "text/plain",
            "application/json; application/sdp",
        ] {
            assert!(!is_type(bad, SDP), "{bad}");
        }
    }

    /// The classes of §1.11's table.
    #[test]
    fn each_reason_has_its_status() {
        let status = |error| session_problem(&error).status().as_u16();
        let sdp = |error| status(SessionError::Sdp(error));
        assert_eq!(sdp(SdpError::Malformed(String::new())), 400);
        assert_eq!(sdp(SdpError::Unacceptable(String::new())), 422);
        assert_eq!(status(SessionError::Closing), 404);
        let full = session_problem(&SessionError::Limit("MAX_SESSIONS".to_owned()));
        assert_eq!(
            (full.status().as_u16(), &full.headers()["retry-after"]),
            (503, &HeaderValue::from_static("5"))
        );
    }
}
