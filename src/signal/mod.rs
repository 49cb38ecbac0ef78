//! WHEP and WHIP as transport-free request → response (`http` types, no sockets), and who may do what.
//!
//! `http` hands a [`Request`] in; [`Signal::handle`] routes it to `whep`, which asks `auth`, waits for the stream
//! (`ready`) and has `session` make the viewer, to `whip`, which has it make the publisher, or to `resource`, a session's own. Every answer leaves with its CORS headers.

pub mod auth;
pub mod cors;
pub(crate) mod exchange;
mod links;
mod patch;
pub mod problem;
pub mod rate;
mod ready;
mod resource;
pub mod route;
mod source;
mod whep;
mod whip;

use std::sync::Arc;
use std::time::Instant;

use ::http::{Response, StatusCode};
use bytes::Bytes;

use crate::config::Settings;
use crate::session::Sessions;
use crate::stats::Counters;
use crate::stream::{Ingests, Streams};
use problem::problem;
use route::Target;

/// Everything a request needs. Cheap to clone.
#[derive(Clone)]
pub struct Signal {
    /// The validated configuration.
    pub settings: Arc<Settings>,
    /// Live streams by id.
    pub streams: Streams,
    /// Ingests by id.
    pub ingests: Ingests,
    /// Sessions: create, find, end.
    pub sessions: Sessions,
    /// The host's auth callback.
    pub auth: auth::AuthHook,
    /// The subsystem's counters.
    pub counters: Arc<Counters>,
    /// What each client address has left of ADDRESS_RATE_MAX.
    pub rates: Arc<rate::Rates>,
}

/// One request with its body already read (and limited).
pub struct Request {
    /// Method, URI (raw path and query, prefix included), headers, body.
    pub http: ::http::Request<Bytes>,
    /// The client's address as text, empty where unknown.
    pub remote_addr: String,
}

impl Signal {
    /// Answers a request to `/whep/…` or `/whip/…`; anything else is 404. Within HTTP_TIMEOUT, else 503. Dropping the
    /// future before it is done makes no session.
    pub async fn handle(&self, request: Request) -> Response<Bytes> {
        let origin = request.http.headers().get(::http::header::ORIGIN).cloned();
        let mut response =
            match tokio::time::timeout(self.settings.http_timeout, self.route(&request)).await {
                Ok(response) => response,
                Err(_) => problem::retry_after(
                    problem(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the request took longer than HTTP_TIMEOUT_MS",
                    ),
                    1,
                ),
            };
        cors::expose(&self.settings.cors_origins, origin.as_ref(), &mut response);
        response
    }

    async fn route(&self, request: &Request) -> Response<Bytes> {
        if !self.settings.enable {
            return problem(StatusCode::NOT_FOUND, "this server is disabled");
        }
        if cors::is_preflight(&request.http) {
            // P022, P030, P033: before authorisation, and without Link.
            return cors::preflight(&request.http, self.settings.private_network);
        }
        if let Some(refusal) = self.rate_limited(request) {
            return refusal;
        }
        let exists = |id: &str| self.streams.find(id).is_some() || self.ingests.find(id).is_some();
        let path = request.http.uri().path();
        match route::target(&self.settings.path_prefix, path, exists) {
            Some(Target::Whep { id }) => whep::endpoint(self, request, &id).await,
            Some(Target::Whip { id }) => whip::endpoint(self, request, &id).await,
            Some(Target::Session { secret }) => resource::answer(self, request, secret).await,
            None => problem(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }

    /// P012: 429 for whoever asks too much; reading costs nothing.
    fn rate_limited(&self, request: &Request) -> Option<Response<Bytes>> {
        let writes = !request.http.method().is_safe();
        let per_minute = self.settings.address_rate_max;
        let now = Instant::now();
        if !writes || self.rates.allows(&request.remote_addr, per_minute, now) {
            return None;
        }
        self.counters.http_rate_limited.inc();
        let detail = format!("more than {per_minute} requests in a minute (ADDRESS_RATE_MAX)");
        let response = problem(StatusCode::TOO_MANY_REQUESTS, &detail);
        Some(problem::retry_after(response, 60_u32.div_ceil(per_minute)))
    }
}
