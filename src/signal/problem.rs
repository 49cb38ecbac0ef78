//! Error answers: problem details (RFC 9457) whose `detail` names the header, field or line at fault (P015).

use ::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;

/// A problem of that status. `detail` is for people; it repeats neither the SDP nor a token.
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = plain(status, Bytes::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 405 with its `Allow` (RFC 9110 §15.5.6, P007).
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Response<Bytes> {
    let detail = format!("this resource knows {allow} only");
    let response = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
    with(response, ALLOW, allow)
}

/// Adds `Retry-After` in seconds.
#[must_use]
pub fn retry_after(response: Response<Bytes>, seconds: u32) -> Response<Bytes> {
    with(response, RETRY_AFTER, &seconds.to_string())
}

/// An answer of that status and body.
#[must_use]
pub fn plain(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Adds a header line; a value that is no header value is left out.
#[must_use]
pub fn with(mut response: Response<Bytes>, name: HeaderName, value: &str) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_is_wrong_in_json() {
        let response = problem(StatusCode::BAD_REQUEST, "line 3 \"s=\"");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["status"], 400);
        assert_eq!(body["title"], "Bad Request");
        assert_eq!(body["detail"], "line 3 \"s=\"");
    }

    /// P007: Allow is a MUST with 405.
    #[test]
    fn a_405_says_what_is_allowed() {
        let response = method_not_allowed("GET, HEAD");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
