//! Who may play or publish: tokens (compared in constant time) and the host's auth callback.

use std::sync::Arc;

use ::http::header::{AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE};
use ::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use subtle::ConstantTimeEq;

use super::problem::{problem, retry_after, with};
use super::{Request, Signal, route};

/// What a client wants to do; the numbers are those of `CORERTC_ACTION_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Action {
    Play = 1,
    Publish = 2,
}

/// What the host's callback is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthQuery {
    /// Play or publish.
    pub action: Action,
    /// The stream's id, percent-decoded.
    pub stream_id: String,
    /// Bearer token or `?token=`, empty where none.
    pub token: String,
    /// The raw query string.
    pub query: String,
    /// Remote address as text, empty where unknown.
    pub remote_addr: String,
    /// `User-Agent`, empty where none.
    pub user_agent: String,
}

/// The host's answer: None where no callback is set; 0 or 200 lets in, else the HTTP status of the refusal.
/// Called on a blocking thread; may take its time.
pub type AuthHook = Arc<dyn Fn(&AuthQuery) -> Option<i32> + Send + Sync>;

/// P021, C081: never `Basic`, for which browsers prompt.
const CHALLENGE: &str = "Bearer realm=\"corertc\"";

/// Checks the configured token of `action`; nothing configured lets everyone in (P026). The error is the answer.
pub(super) fn check_token(
    signal: &Signal,
    action: Action,
    request: &Request,
) -> Result<(), Box<Response<Bytes>>> {
    let expected = match action {
        Action::Play => &signal.settings.play_token,
        Action::Publish => &signal.settings.publish_token,
    };
    let given = token(&request.http, signal.settings.raw_token);
    if matches(expected.as_deref(), &given) {
        return Ok(());
    }
    let (detail, challenge) = if given.is_empty() {
        (
            "Authorization: a Bearer token is required",
            CHALLENGE.to_owned(),
        )
    } else {
        (
            "Authorization: the token is not the right one",
            format!("{CHALLENGE}, error=\"invalid_token\""),
        )
    };
    Err(Box::new(unauthorized(detail, &challenge)))
}

/// For what tells of all streams (the list, the metrics): the token for playing, then the host's callback, asked with an
/// empty stream id. The error is the answer.
pub(crate) async fn gate(signal: &Signal, request: &Request) -> Result<(), Box<Response<Bytes>>> {
    check_token(signal, Action::Play, request)?;
    ask(signal, Action::Play, "", request).await
}

/// Compares in constant time: how much of a guess was right can't be measured.
fn matches(expected: Option<&str>, given: &str) -> bool {
    expected.is_none_or(|expected| bool::from(given.as_bytes().ct_eq(expected.as_bytes())))
}

/// Asks the host's callback, on a blocking thread, for at most AUTH_TIMEOUT. The error is the answer.
pub(super) async fn ask(
    signal: &Signal,
    action: Action,
    stream_id: &str,
    request: &Request,
) -> Result<(), Box<Response<Bytes>>> {
    let headers = request.http.headers();
    let query = AuthQuery {
        action,
        stream_id: stream_id.to_owned(),
        token: token(&request.http, signal.settings.raw_token),
        query: request.http.uri().query().unwrap_or("").to_owned(),
        remote_addr: request.remote_addr.clone(),
        user_agent: text(headers, USER_AGENT).to_owned(),
    };
    let hook = Arc::clone(&signal.auth);
    let asked = tokio::task::spawn_blocking(move || hook(&query));
    let refusal = match tokio::time::timeout(signal.settings.auth_timeout, asked).await {
        Ok(Ok(None | Some(0 | 200))) => return Ok(()),
        Ok(Ok(Some(status))) => refused(status),
        // A panic of the hook; it was reported where it happened.
        Ok(Err(_)) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "authorisation failed on the server's side",
        ),
        Err(_) => retry_after(
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "authorisation took longer than AUTH_TIMEOUT_MS",
            ),
            1,
        ),
    };
    Err(Box::new(refusal))
}

/// The Bearer token, its scheme compared without case (RFC 9110 §11.1), else `?token=` or `?jwt=` (P025); or empty.
/// `raw`: a header that is one word is the token, too (P024, C071).
fn token(request: &::http::Request<Bytes>, raw: bool) -> String {
    let header = text(request.headers(), AUTHORIZATION).trim();
    let bearer = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Some(token.trim().to_owned())
        }
        None if raw && !header.is_empty() => Some(header.to_owned()),
        _ => None,
    };
    bearer.unwrap_or_else(|| {
        let query = request.uri().query().unwrap_or("");
        route::query_value(query, &["token", "jwt"]).unwrap_or_default()
    })
}

fn refused(status: i32) -> Response<Bytes> {
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (400..600).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::FORBIDDEN);
    match status {
        StatusCode::UNAUTHORIZED => unauthorized("the host wants other credentials", CHALLENGE),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(problem(status, "the host refuses for now"), 2)
        }
        _ => problem(status, "the host refuses"),
    }
}

fn unauthorized(detail: &str, challenge: &str) -> Response<Bytes> {
    let response = problem(StatusCode::UNAUTHORIZED, detail);
    with(response, WWW_AUTHENTICATE, challenge)
}

fn text(headers: &HeaderMap, name: ::http::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, authorization: Option<&str>) -> ::http::Request<Bytes> {
        let mut builder = ::http::Request::post(uri);
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        builder.body(Bytes::new()).expect("a request")
    }

    #[test]
    fn only_the_configured_token_matches_and_none_lets_everyone_in() {
        assert!(matches(None, "") && matches(None, "anything"));
        assert!(matches(Some("s3cret"), "s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3CRET", "s3creu"] {
            assert!(!matches(Some("s3cret"), wrong), "{wrong}");
        }
    }

    /// P020, P025: header first, then the query; `bearer` in any case.
    #[test]
    fn a_token_comes_from_the_header_or_the_query() {
        assert_eq!(token(&request("/whep/x", Some("Bearer abc")), false), "abc");
        assert_eq!(
            token(&request("/whep/x?token=q", Some("bearer abc")), false),
            "abc"
        );
        assert_eq!(
            token(&request("/whep/x?a=1&token=a%2Fb", None), false),
            "a/b"
        );
        assert_eq!(
            token(&request("/whep/x?jwt=j", Some("Basic eDp5")), false),
            "j"
        );
        assert_eq!(token(&request("/whep/x", Some("abc")), false), "");
        // P024.
        assert_eq!(token(&request("/whep/x", Some("abc")), true), "abc");
        assert_eq!(token(&request("/whep/x", Some("Basic eDp5")), true), "");
    }

    /// P021: 401 carries its challenge; what is no refusal status is 403.
    #[test]
    fn the_hosts_status_is_passed_on_if_it_is_a_refusal() {
        assert_eq!(refused(404).status(), 404);
        assert_eq!(refused(429).headers()["retry-after"], "2");
        assert_eq!(refused(401).headers()[WWW_AUTHENTICATE], CHALLENGE);
        for odd in [-1, 1, 204, 302, 600, i32::MAX] {
            assert_eq!(refused(odd).status(), 403, "{odd}");
        }
    }
}
