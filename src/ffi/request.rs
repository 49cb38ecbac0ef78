//! A host's request as the pieces C passes, to an `http::Request`; header lines both ways.

use std::net::SocketAddr;

use ::http::header::{HeaderName, HeaderValue};
use ::http::{HeaderMap, Method, Request, Uri};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::error::Error;

/// What a raw target may hold but a URI may not (RFC 3986 §2): encoded, so that a stranger's target gets its 404.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The request of these pieces; the error `Invalid` names the argument at fault.
pub fn parse(
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Result<Request<Bytes>, Error> {
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::Invalid(format!("method: {method:?}")))?;
    *request.uri_mut() = uri(target)?;
    for line in headers.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let (name, value) =
            header(line).ok_or_else(|| Error::Invalid(format!("headers: {line:?}")))?;
        request
            .headers_mut()
            .try_append(name, value)
            .map_err(|_| Error::Invalid("headers: too many".to_owned()))?;
    }
    Ok(request)
}

fn uri(target: &str) -> Result<Uri, Error> {
    if target.is_empty() {
        return Err(Error::Invalid("target: empty".to_owned()));
    }
    utf8_percent_encode(target, NOT_IN_URI)
        .to_string()
        .parse()
        .map_err(|why| Error::Invalid(format!("target: {why}")))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    // RFC 9110 §5.5: blanks around the value are no part of it.
    let value = value.trim_matches([' ', '\t']);
    Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

/// "Name: value\r\n" lines.
pub(super) fn header_lines(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        lines.push_str(name.as_str());
        lines.push_str(": ");
        lines.push_str(&String::from_utf8_lossy(value.as_bytes()));
        lines.push_str("\r\n");
    }
    lines
}

/// Addresses are IPs, never names.
pub(super) fn check_address(addr: &str) -> Result<(), Error> {
    addr.parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| Error::Invalid(format!("addr: {addr:?} is not IP:port")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart_as_it_was_passed() {
        let lines = "Content-Type: application/sdp\r\nX-A:1\r\nX-A:  2 \r\n";
        let request = parse("POST", "/whep/a%2Fb?x=1", lines, b"v=0").expect("valid");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "/whep/a%2Fb?x=1");
        assert_eq!(request.headers()["content-type"], "application/sdp");
        let all: Vec<_> = request.headers().get_all("x-a").iter().collect();
        assert_eq!(all, ["1", "2"]);
        assert_eq!(request.body(), &Bytes::from_static(b"v=0"));
        assert_eq!(
            header_lines(request.headers()),
            "content-type: application/sdp\r\nx-a: 1\r\nx-a: 2\r\n"
        );
    }

    #[test]
    fn hostile_targets_reach_http_and_bad_arguments_are_named() {
        for target in ["/whep/a b", "/whep/\r\n", "/whep/ä", "/<x>#\"", "*", "/%zz"] {
            assert!(parse("GET", target, "", b"").is_ok(), "{target:?}");
        }
        let faults = [
            (parse("", "/", "", b""), "method"),
            (parse("GE T", "/", "", b""), "method"),
            (parse("GET", "", "", b""), "target"),
            (
                parse("GET", &format!("/{}", "x".repeat(70_000)), "", b""),
                "target",
            ),
            (parse("GET", "/", "nonsense", b""), "headers"),
            (parse("GET", "/", "a b: c", b""), "headers"),
            (parse("GET", "/", "a: b\rc: d", b""), "headers"),
        ];
        for (outcome, name) in faults {
            assert!(
                matches!(&outcome, Err(Error::Invalid(text)) if text.starts_with(name)),
                "{name}: {outcome:?}"
            );
        }
    }
}
