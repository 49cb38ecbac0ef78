//! WHEP (draft-ietf-wish-whep): POST, OPTIONS, GET/HEAD on the endpoint; the session's resource is in `resource`.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;

use super::auth::{self, Action};
use super::cors::{ACCEPT_POST, SDP};
use super::exchange::{ENDPOINT_METHODS, allowed, created_answer, header, offer, session_problem};
use super::problem::{method_not_allowed, plain, problem, retry_after};
use super::{Request, Signal, links, ready, route};
use crate::session::Client;
use crate::stream::Stream;

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
    let unknown = || Box::new(unknown(request));
    stream(signal, request, id).ok_or_else(unknown)?;
    auth::ask(signal, Action::Play, id, request).await?;
    let offer = offer(signal, request)?;
    // Asking may have taken seconds: the id can stand for another stream by now.
    let stream = stream(signal, request, id).ok_or_else(unknown)?;
    let longest = signal.settings.http_timeout.saturating_sub(ANSWER_RESERVE);
    let hold = signal.settings.wait_for_stream.min(longest);
    if !ready::wait(&stream, hold).await {
        // P104: SHALL be 409 with Retry-After.
        let response = problem(StatusCode::CONFLICT, "the stream has no media yet");
        return Err(Box::new(retry_after(response, RETRY_NO_MEDIA_S)));
    }
    let client = Client {
        remote_addr: request.remote_addr.clone(),
        user_agent: header(request, &USER_AGENT).to_owned(),
    };
    match signal.sessions.play(&stream, &offer, client) {
        Ok(created) => Ok(created_answer(signal, "whep", id, created)),
        Err(error) => Err(Box::new(session_problem(&error))),
    }
}

/// P005, P006: GET and HEAD of an endpoint.
fn describe(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    if let Err(refusal) = auth::check_token(signal, Action::Play, request) {
        return *refusal;
    }
    if stream(signal, request, id).is_none() {
        return unknown(request);
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

/// What `/whep/<id>` plays: the process's egress; with WHIP_DIRECT what is published under the id, where it has no egress
/// or `?source=ingest` says so.
fn stream(signal: &Signal, request: &Request, id: &str) -> Option<Arc<Stream>> {
    let ingest = || {
        let point = signal
            .ingests
            .find(id)
            .filter(|_| signal.settings.whip_direct)?;
        Some(point.stream().clone())
    };
    if wants_ingest(request) {
        return ingest();
    }
    signal.streams.find(id).or_else(ingest)
}

/// `?source=ingest` plays what is published under the id, not what FFmpeg sends.
fn wants_ingest(request: &Request) -> bool {
    let query = request.http.uri().query().unwrap_or("");
    route::query_value(query, &["source"]).as_deref() == Some("ingest")
}

/// 404, in the words of what was asked for.
fn unknown(request: &Request) -> Response<Bytes> {
    let detail = match wants_ingest(request) {
        true => "no ingest of this id can be played",
        false => "no stream has this id",
    };
    problem(StatusCode::NOT_FOUND, detail)
}
