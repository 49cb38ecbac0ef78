//! WHEP (draft-ietf-wish-whep): POST, DELETE, OPTIONS, GET/HEAD on endpoint and session; PATCH is in `patch`.

use std::time::Duration;

use ::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION, USER_AGENT};
use ::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;

use super::auth::{self, Action};
use super::cors::{ACCEPT_POST, SDP};
use super::problem::{method_not_allowed, plain, problem, retry_after, with};
use super::{Request, Signal, links, patch, ready, route, source};
use crate::sdp::offer::{Offer, SdpError};
use crate::session::{Client, Created, Lookup, SessionError};

/// P007.
const ENDPOINT_METHODS: &str = "GET, HEAD, OPTIONS, POST";
/// P007.
const SESSION_METHODS: &str = "GET, HEAD, OPTIONS, PATCH, DELETE";
/// Seconds a player waits before it asks again for a stream without packets (P104).
const RETRY_NO_MEDIA_S: u32 = 2;
/// Seconds a player waits when a limit is reached (P013).
const RETRY_LIMIT_S: u32 = 5;
/// Seconds after which a publisher that crashed no longer holds its ingest (P048).
const RETRY_BUSY_S: u32 = 3;
/// Left of HTTP_TIMEOUT for the answer when WAIT_FOR_STREAM is as long as it.
const ANSWER_RESERVE: Duration = Duration::from_millis(1500);

/// A request to `/whep/<id>`.
pub(super) async fn endpoint(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    match *request.http.method() {
        Method::POST => post(signal, request, id)
            .await
            .unwrap_or_else(|refusal| *refusal),
        Method::GET | Method::HEAD => describe(signal, request, id),
        Method::OPTIONS => options(signal, request, id).await,
        _ => method_not_allowed(ENDPOINT_METHODS),
    }
}

/// A request to `/whep/<id>/<secret>`. The secret is the authorisation: players DELETE without a token (P023).
pub(super) async fn session(signal: &Signal, request: &Request, secret: &str) -> Response<Bytes> {
    let method = request.http.method();
    // P055: the session's existence first. A tombstone is there for DELETE alone (P043).
    match (signal.sessions.lookup(secret), method) {
        (Lookup::Live, _) => {}
        (Lookup::Ended, &Method::DELETE) => return plain(StatusCode::OK, Bytes::new()),
        (Lookup::Ended, _) => return problem(StatusCode::NOT_FOUND, "this session has ended"),
        (Lookup::Unknown, _) => return problem(StatusCode::NOT_FOUND, "there is no such session"),
    }
    match *method {
        Method::DELETE => {
            // P041: whatever If-Match says. Someone else may have ended it meanwhile: then it is gone all the same.
            signal.sessions.delete(secret).await;
            // P040: 200, OBS-like clients log anything else.
            plain(StatusCode::OK, Bytes::new())
        }
        // P005: 2xx without content.
        Method::GET | Method::HEAD => plain(StatusCode::NO_CONTENT, Bytes::new()),
        // P009: browsers' clients look there.
        Method::OPTIONS => with(
            allowed(SESSION_METHODS),
            patch::ACCEPT_PATCH,
            patch::SDPFRAG,
        ),
        Method::PATCH => patch::patch(signal, request, secret).await,
        _ => method_not_allowed(SESSION_METHODS),
    }
}

async fn post(
    signal: &Signal,
    request: &Request,
    id: &str,
) -> Result<Response<Bytes>, Box<Response<Bytes>>> {
    // P055's order, but the token first: who has none learns not even which streams there are.
    auth::check_token(signal, Action::Play, request)?;
    source::find(signal, request, id)?;
    auth::ask(signal, Action::Play, id, request).await?;
    let offer = offer(signal, request)?;
    // Asking may have taken seconds: the id can stand for another stream by now.
    let source = source::find(signal, request, id)?;
    let longest = signal.settings.http_timeout.saturating_sub(ANSWER_RESERVE);
    let hold = signal.settings.wait_for_stream.min(longest);
    if !ready::wait(source.stream(), hold).await {
        // P104: SHALL be 409 with Retry-After.
        return Err(Box::new(no_media()));
    }
    let (stream, rid) = source.layer()?;
    let client = Client {
        remote_addr: request.remote_addr.clone(),
        user_agent: header(request, &USER_AGENT).to_owned(),
        rid,
    };
    match signal.sessions.play(&stream, &offer, client) {
        Ok(created) => Ok(created_answer(signal, "whep", id, created)),
        Err(error) => Err(Box::new(session_problem(&error))),
    }
}

/// 409, for a stream that exists and has nothing to play yet.
pub(super) fn no_media() -> Response<Bytes> {
    let response = problem(StatusCode::CONFLICT, "the stream has no media yet");
    retry_after(response, RETRY_NO_MEDIA_S)
}

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

/// P005, P006: GET and HEAD of an endpoint.
fn describe(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    if let Err(refusal) = auth::check_token(signal, Action::Play, request) {
        return *refusal;
    }
    if let Err(refusal) = source::find(signal, request, id) {
        return *refusal;
    }
    let mut response = plain(StatusCode::OK, Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(ACCEPT_POST, HeaderValue::from_static(SDP));
    response
}

/// A plain OPTIONS; a preflight was answered before. ICE servers go to those who may play (P033, C041a: for GStreamer
/// the 201's come too late). The host is asked only where a TURN credential would be given away.
async fn options(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    let mut response = allowed(ENDPOINT_METHODS);
    if auth::check_token(signal, Action::Play, request).is_err() {
        return response;
    }
    let costly = links::hold_credentials(&signal.settings);
    if !costly || auth::ask(signal, Action::Play, id, request).await.is_ok() {
        links::add(&mut response, &signal.settings);
    }
    response
}

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
            RETRY_NO_MEDIA_S,
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
