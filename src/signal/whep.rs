//! WHEP (draft-ietf-wish-whep): POST, OPTIONS, GET/HEAD on the endpoint; the session's resource is in `resource`.

use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;

use super::auth::{self, Action};
use super::cors::{ACCEPT_POST, SDP};
use super::exchange::{ENDPOINT_METHODS, allowed, created_answer, header, offer, session_problem};
use super::problem::{method_not_allowed, plain, problem, retry_after};
use super::{Request, Signal, links, ready, source};
use crate::session::Client;

/// Seconds a player waits before it asks again for a stream without packets (P104).
const RETRY_NO_MEDIA_S: u32 = 2;
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
