//! The resource of a session, one for WHEP and WHIP: DELETE, GET/HEAD, OPTIONS; PATCH is in `patch`.

use ::http::{Method, Response, StatusCode};
use bytes::Bytes;

use super::exchange::allowed;
use super::problem::{method_not_allowed, plain, problem, with};
use super::{Request, Signal, patch};
use crate::session::Lookup;

/// P007.
const METHODS: &str = "GET, HEAD, OPTIONS, PATCH, DELETE";

/// A request to `/whep/<id>/<secret>` or `/whip/<id>/<secret>`. The secret is the authorisation: clients DELETE without a token (P023).
pub(super) async fn answer(signal: &Signal, request: &Request, secret: &str) -> Response<Bytes> {
    let method = request.http.method();
    // P055: the session's existence first. A tombstone is there for DELETE alone (P043: OBS closes DTLS before it).
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
            // P040, C008: 200, OBS logs anything else.
            plain(StatusCode::OK, Bytes::new())
        }
        // P005: 2xx without content.
        Method::GET | Method::HEAD => plain(StatusCode::NO_CONTENT, Bytes::new()),
        // P009: browsers' clients look there.
        Method::OPTIONS => with(allowed(METHODS), patch::ACCEPT_PATCH, patch::SDPFRAG),
        Method::PATCH => patch::patch(signal, request, secret).await,
        _ => method_not_allowed(METHODS),
    }
}
