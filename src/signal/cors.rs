//! CORS (Fetch §3.2): on every answer, errors too, because a browser tells its page nothing otherwise (P030–P034).

use ::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use ::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;

use super::problem::plain;

/// `Accept-Post` (W3C Linked Data Platform §7.1), which the WHEP draft asks for on OPTIONS (P008).
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// The one media type of WHEP and WHIP.
pub const SDP: &str = "application/sdp";

/// Private Network Access (WICG), as Chromium asks and wants to be answered.
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// P030: PATCH and OPTIONS must be listed.
const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
/// P030: `*` wouldn't cover Authorization; players send ETag as a request header.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, ETag, Link, \
     Accept, Cache-Control, Last-Event-ID, X-Requested-With";
/// P031: without ETag and Location exposed, players in browsers throw or can't PATCH.
const EXPOSED: &str = "Location, Link, ETag, Accept-Patch, Accept-Post, Allow, \
     Access-Control-Allow-Methods, Retry-After, WWW-Authenticate";

/// P033: what makes an OPTIONS a preflight.
#[must_use]
pub fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight, [`expose`] not yet applied. The same for every path: whether the stream is there is
/// told to the request itself.
/// Public pages may reach into a private network where `private_network` says so (P034).
#[must_use]
pub fn preflight<B>(request: &Request<B>, private_network: bool) -> Response<Bytes> {
    let mut response = plain(StatusCode::NO_CONTENT, Bytes::new());
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(REQUEST_HEADERS),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    headers.insert(ACCEPT_POST, HeaderValue::from_static(SDP));
    if private_network && request.headers().contains_key(REQUEST_PRIVATE_NETWORK) {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// Adds the CORS headers of an actual answer. `origins` is `["*"]` or exact origins.
pub fn expose(origins: &[String], origin: Option<&HeaderValue>, response: &mut Response<Bytes>) {
    let headers = response.headers_mut();
    let any = origins.iter().any(|allowed| allowed == "*");
    if any {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let known = origin.filter(|origin| {
            origins
                .iter()
                .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        });
        let Some(origin) = known else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    // C072: Eyevinn's client looks for PATCH in the methods of the actual answer.
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(METHODS),
    );
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(origins: &[&str], origin: Option<&'static str>) -> Response<Bytes> {
        let origins: Vec<String> = origins.iter().map(|&text| text.to_owned()).collect();
        let mut response = preflight(&Request::new(()), false);
        expose(
            &origins,
            origin.map(HeaderValue::from_static).as_ref(),
            &mut response,
        );
        response
    }

    /// P030, P031.
    #[test]
    fn any_origin_is_let_in_by_a_star() {
        let response = answered(&["*"], Some("https://a.example"));
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        for name in [
            "Location",
            "Link",
            "ETag",
            "Retry-After",
            "WWW-Authenticate",
        ] {
            let exposed = response.headers()[ACCESS_CONTROL_EXPOSE_HEADERS]
                .to_str()
                .expect("text");
            assert!(exposed.split(", ").any(|each| each == name), "{name}");
        }
        let methods = response.headers()[ACCESS_CONTROL_ALLOW_METHODS]
            .to_str()
            .expect("text");
        assert!(methods.contains("PATCH") && methods.contains("OPTIONS"));
        assert!(
            response.headers()[ACCESS_CONTROL_ALLOW_HEADERS]
                .to_str()
                .expect("text")
                .contains("ETag")
        );
    }

    #[test]
    fn listed_origins_are_echoed_and_others_get_nothing() {
        let response = answered(
            &["https://a.example", "https://b.example"],
            Some("https://b.example"),
        );
        assert_eq!(
            response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://b.example"
        );
        assert_eq!(response.headers()[VARY], "Origin");
        let response = answered(&["https://a.example"], Some("https://a.example.evil"));
        assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(response.headers()[VARY], "Origin");
    }

    /// P033: the definition.
    #[test]
    fn an_options_without_origin_is_no_preflight() {
        let request = |origin: bool, asked: bool| {
            let mut builder = Request::options("/whep/x");
            if origin {
                builder = builder.header(ORIGIN, "https://a.example");
            }
            if asked {
                builder = builder.header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
            }
            builder.body(()).expect("a request")
        };
        assert!(is_preflight(&request(true, true)));
        assert!(!is_preflight(&request(true, false)));
        assert!(!is_preflight(&request(false, true)));
    }
}
