//! The pages for people: a list of streams, a player per stream, a publisher per ingest, embedded, without inline code.
//!
//! Ids are hostile text: they stand in HTML only through [`escape`] and in URLs only through `route::encode`. All URLs
//! are relative, so that the pages work below a path prefix and behind a proxy that adds one.

use std::fmt::Write as _;

use ::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use ::http::{HeaderValue, Request, Response, StatusCode};
use bytes::Bytes;

use crate::signal::problem::plain;
use crate::signal::{Signal, auth, route};

const LIST: &str = include_str!("pages/list.html");
const PLAY: &str = include_str!("pages/play.html");
const PUBLISH: &str = include_str!("pages/publish.html");

/// (name below `assets/`, media type, text)
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("pages/page.css"),
    ),
    (
        "play.js",
        "text/javascript; charset=utf-8",
        include_str!("pages/play.js"),
    ),
    (
        "publish.js",
        "text/javascript; charset=utf-8",
        include_str!("pages/publish.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("pages/icon.svg")),
];

/// Nothing but our own files, no inline code, no frames, forms or bases; media comes through `srcObject`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'";

/// The page or asset at `path` (prefix gone), whatever the method; None where there is none.
pub(super) fn page(
    signal: &Signal,
    path: &str,
    request: &Request<Bytes>,
) -> Option<Response<Bytes>> {
    if path == "/" {
        return Some(list(signal, request));
    }
    if let Some(name) = path.strip_prefix("/assets/") {
        let (_, kind, text) = ASSETS.iter().find(|(known, ..)| *known == name)?;
        return Some(file(
            StatusCode::OK,
            kind,
            Bytes::from_static(text.as_bytes()),
        ));
    }
    let (template, kind, encoded) = match path.strip_prefix("/play/") {
        Some(encoded) => (PLAY, "whep", encoded),
        None => (PUBLISH, "whip", path.strip_prefix("/publish/")?),
    };
    let id = route::id(encoded)?;
    // A raw `/` in the id makes the page stand deeper: its relative URLs climb as far.
    let root = "../".repeat(encoded.matches('/').count() + 1);
    let html = fill(
        template,
        &[
            ("{{root}}", &root),
            ("{{id}}", &escape(&id)),
            (
                "{{endpoint}}",
                &format!("{root}{kind}/{}", route::encode(&id)),
            ),
        ],
    );
    // Whether the stream is there is for the player to find out: it may come while the page is open.
    Some(file(
        StatusCode::OK,
        "text/html; charset=utf-8",
        Bytes::from(html),
    ))
}

fn list(signal: &Signal, request: &Request<Bytes>) -> Response<Bytes> {
    let query = request.uri().query().unwrap_or("");
    if !auth::may_play(signal, &auth::token(request)) {
        let rows = "<li class=\"none\">This server needs a token: add <code>?token=…</code> to the address.</li>";
        let html = fill(LIST, &[("{{rows}}", rows)]);
        return file(
            StatusCode::UNAUTHORIZED,
            "text/html; charset=utf-8",
            Bytes::from(html),
        );
    }
    // A token given in the address goes on to the players.
    let suffix = match route::query_value(query, &["token"]) {
        Some(token) => format!("?token={}", route::encode(&token)),
        None => String::new(),
    };
    let mut rows = String::new();
    for stream in signal.streams.all() {
        let info = stream.info();
        let tracks = [info.video, info.audio];
        let codecs: Vec<&str> = tracks
            .iter()
            .flatten()
            .map(|facts| facts.codec.name())
            .collect();
        let state = if info.live { "live" } else { "waiting" };
        // Writing to a String can't fail.
        let _ = write!(
            rows,
            "<li><a href=\"play/{}{suffix}\">{}</a> <span class=\"{state}\">{state}</span> <small>{}</small></li>",
            route::encode(stream.id()),
            escape(stream.id()),
            codecs.join(", "),
        );
    }
    if rows.is_empty() {
        rows.push_str("<li class=\"none\">No stream is running.</li>");
    }
    let html = fill(LIST, &[("{{rows}}", &rows)]);
    file(
        StatusCode::OK,
        "text/html; charset=utf-8",
        Bytes::from(html),
    )
}

/// Puts each value in its place. One pass: a value that looks like a place stays text.
fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match places.iter().find(|(place, _)| from.starts_with(place)) {
            Some((place, value)) => {
                out.push_str(value);
                rest = &from[place.len()..];
            }
            None => {
                out.push_str("{{");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Text for HTML, inside elements and quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control and bidirectional characters would rewrite what is around them.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

fn file(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = plain(status, body);
    let headers = response.headers_mut();
    let lines = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address may hold a token.
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in lines {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_ids_stay_text() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}\n{{root}}";
        let escaped = escape(hostile);
        assert!(
            !escaped.contains(['<', '>', '"', '\'', '\n', '\u{202e}']),
            "{escaped}"
        );
        let html = fill(
            PLAY,
            &[
                ("{{root}}", "../"),
                ("{{id}}", &escaped),
                ("{{endpoint}}", "../whep/x"),
            ],
        );
        assert!(html.contains("&lt;script&gt;") && html.contains("{{root}}"));
        assert!(!html.contains("{{id}}") && !html.contains("{{endpoint}}"));
    }

    /// The policy forbids inline code: a page that holds any would not work.
    #[test]
    fn no_page_holds_inline_code_or_an_absolute_url() {
        for html in [LIST, PLAY, PUBLISH] {
            let lower = html.to_ascii_lowercase();
            assert!(!lower.contains("<style") && !lower.contains("style="));
            assert!(lower.matches("<script").count() == lower.matches("<script src=").count());
            for handler in [
                "onclick",
                "onload",
                "onerror",
                "javascript:",
                "src=\"/",
                "href=\"/",
                "http://",
                "https://",
            ] {
                assert!(!lower.contains(handler), "{handler}");
            }
        }
    }

    #[test]
    fn every_place_of_the_templates_is_filled() {
        let places = |html: &str| html.matches("{{").count();
        assert_eq!(places(&fill(LIST, &[("{{rows}}", "")])), 0);
        let filled = [("{{root}}", ""), ("{{id}}", ""), ("{{endpoint}}", "")];
        for html in [PLAY, PUBLISH] {
            assert_eq!(places(&fill(html, &filled)), 0);
        }
    }
}
