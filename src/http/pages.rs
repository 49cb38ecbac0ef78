//! The pages for people: a list of streams, a player per stream, a publisher per ingest, embedded, without inline code.
//!
//! Ids are hostile text: they stand in HTML only through [`html::escape`] and in URLs only through `route::encode`. All
//! URLs are relative, so that the pages work below a path prefix and behind a proxy that adds one.

mod html;
mod list;

use ::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use ::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;

use crate::signal::problem::plain;
use crate::signal::{Request, Signal, route};
use html::{escape, fill};

const LIST: &str = include_str!("pages/list.html");
const PLAY: &str = include_str!("pages/play.html");
const PUBLISH: &str = include_str!("pages/publish.html");
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// (name below `assets/`, media type, text)
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("pages/page.css"),
    ),
    ("play.js", SCRIPT, include_str!("pages/play.js")),
    ("whep.js", SCRIPT, include_str!("pages/whep.js")),
    ("stats.js", SCRIPT, include_str!("pages/stats.js")),
    ("list.js", SCRIPT, include_str!("pages/list.js")),
    ("publish.js", SCRIPT, include_str!("pages/publish.js")),
    ("icon.svg", "image/svg+xml", include_str!("pages/icon.svg")),
];

/// Nothing but our own files, no inline code, no frames, forms or bases; media comes through `srcObject`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'";

/// The page or asset at `path` (prefix gone), whatever the method; None where there is none.
pub(super) async fn page(
    signal: &Signal,
    path: &str,
    request: &Request,
) -> Option<Response<Bytes>> {
    match path {
        "/" => return Some(list::page(signal, request).await),
        "/streams.json" => return Some(list::json(signal, request).await),
        _ => {}
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
    Some(file(StatusCode::OK, HTML, Bytes::from(html)))
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
