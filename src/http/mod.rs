//! HTTP in front of `signal`: router, pages, the library's own listener, and requests a host passes in.
//!
//! A request comes from [`Listener`] or from the host's own server and goes through [`answer`], the one router: WHEP and
//! WHIP to `signal`, the rest is answered here. Each answer is counted here, once.

mod listener;
mod pages;
mod seats;
mod tls;

use std::sync::Arc;

use ::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;

use crate::signal::problem::{method_not_allowed, plain, with};
use crate::signal::{self, Signal, auth};
use crate::stats::Counters;

pub use listener::Listener;

/// The Prometheus text of the subsystem, made when asked for.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Why a listener could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The address is busy or not ours; the text names it and has the system's words.
    #[error("{0}")]
    Io(String),
    /// TLS_CERT_FILE or TLS_KEY_FILE can't be used; the text names the file.
    #[error("{0}")]
    Tls(String),
}

/// Methods of everything that is only read.
const READ_METHODS: &str = "GET, HEAD";

/// Answers one request, its body already read. `remote_addr` is the client's address as text, empty where unknown.
/// Within HTTP_TIMEOUT; dropping the future before it is done makes no session.
pub async fn answer(
    signal: &Signal,
    metrics: &MetricsText,
    request: Request<Bytes>,
    remote_addr: String,
) -> Response<Bytes> {
    let request = signal::Request {
        http: request,
        remote_addr,
    };
    // Neither path nor query: session URLs and tokens are secrets.
    let (method, remote) = (request.http.method().clone(), request.remote_addr.clone());
    let is_head = request.http.method() == Method::HEAD;
    let response = match read_only(signal, metrics, &request).await {
        Some(response) => response,
        None => signal.handle(request).await,
    };
    // A host sends what it is given: errors, too, are without their body then.
    let response = match is_head && !response.body().is_empty() {
        true => without_body(response),
        false => response,
    };
    let status = response.status().as_u16();
    tracing::debug!(%method, status, remote, "answered");
    count(&signal.counters, response.status());
    response
}

/// Counts an answer by its class.
fn count(counters: &Counters, status: StatusCode) {
    match status.as_u16() {
        200..300 => counters.http_2xx.inc(),
        400..500 => counters.http_4xx.inc(),
        500..600 => counters.http_5xx.inc(),
        _ => {}
    }
}

/// Pages, metrics and health; None where the path is `signal`'s, its 404 included.
async fn read_only(
    signal: &Signal,
    metrics: &MetricsText,
    request: &signal::Request,
) -> Option<Response<Bytes>> {
    let settings = &signal.settings;
    if !settings.enable {
        return None;
    }
    let path = request.http.uri().path();
    let path = path.strip_prefix(settings.path_prefix.as_str())?;
    let response = match path {
        "/healthz" => text("text/plain; charset=utf-8", "ok\n".to_owned()),
        "/metrics" => match auth::gate(signal, request).await {
            Err(refusal) => *refusal,
            Ok(()) => {
                let body = metrics();
                // OpenMetrics ends so; it has a media type of its own.
                let kind = match body.ends_with("# EOF\n") {
                    true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
                    false => "text/plain; version=0.0.4; charset=utf-8",
                };
                text(kind, body)
            }
        },
        // Relative links of the list need the slash.
        "" if settings.pages => {
            let last = settings.path_prefix.rsplit('/').next().unwrap_or("");
            let response = plain(StatusCode::PERMANENT_REDIRECT, Bytes::new());
            // The query may hold the token (P025).
            let query = request.http.uri().query();
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            with(response, LOCATION, &format!("{last}/{query}"))
        }
        _ if settings.pages => pages::page(signal, path, request).await?,
        _ => return None,
    };
    Some(match *request.http.method() {
        Method::GET | Method::HEAD => response,
        _ => method_not_allowed(READ_METHODS),
    })
}

/// RFC 9110 §9.3.2: a HEAD has the headers of its GET.
fn without_body(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    *response.body_mut() = Bytes::new();
    response
}

fn text(kind: &'static str, body: String) -> Response<Bytes> {
    let mut response = plain(StatusCode::OK, Bytes::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
