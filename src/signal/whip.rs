//! WHIP (RFC 9725): POST, OPTIONS, GET/HEAD on the endpoint; the session's resource is in `resource`.

use ::http::header::USER_AGENT;
use ::http::{Method, Response, StatusCode};
use bytes::Bytes;

use super::auth::{self, Action};
use super::exchange::{ENDPOINT_METHODS, allowed, created_answer, header, offer, session_problem};
use super::problem::{method_not_allowed, plain, problem};
use super::{Request, Signal, links};
use crate::session::Client;

/// A request to `/whip/<id>`.
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
    let unknown = || Box::new(problem(StatusCode::NOT_FOUND, "no ingest has this id"));
    // P055's order, but the token first: who has none learns not even which ingests there are.
    auth::check_token(signal, Action::Publish, request)?;
    signal.ingests.find(id).ok_or_else(unknown)?;
    auth::ask(signal, Action::Publish, id, request).await?;
    let offer = offer(signal, request)?;
    // Asking may have taken seconds: the id can stand for another ingest by now.
    let point = signal.ingests.find(id).ok_or_else(unknown)?;
    let client = Client {
        remote_addr: request.remote_addr.clone(),
        user_agent: header(request, &USER_AGENT).to_owned(),
        rid: None,
    };
    match signal.sessions.publish(&point, &offer, client).await {
        Ok(created) => Ok(created_answer(signal, "whip", id, created)),
        Err(error) => Err(Box::new(session_problem(&error))),
    }
}

/// P005, P006: GET and HEAD of an endpoint.
fn describe(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    if let Err(refusal) = auth::check_token(signal, Action::Publish, request) {
        return *refusal;
    }
    if signal.ingests.find(id).is_none() {
        return problem(StatusCode::NOT_FOUND, "no ingest has this id");
    }
    plain(StatusCode::NO_CONTENT, Bytes::new())
}

/// A plain OPTIONS; a preflight was answered before. ICE servers go to those who may publish (P033).
async fn options(signal: &Signal, request: &Request, id: &str) -> Response<Bytes> {
    let mut response = allowed(ENDPOINT_METHODS);
    if auth::check_token(signal, Action::Publish, request).is_err() {
        return response;
    }
    let costly = links::hold_credentials(&signal.settings);
    let asked = !costly
        || auth::ask(signal, Action::Publish, id, request)
            .await
            .is_ok();
    if asked {
        links::add(&mut response, &signal.settings);
    }
    response
}
