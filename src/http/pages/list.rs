//! The list of streams: as a page, and as the JSON that the page asks for again and again.

use std::fmt::Write as _;

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};

use super::html::{escape, fill};
use super::{HTML, LIST, file};
use crate::signal::problem::plain;
use crate::signal::{Request, Signal, auth, route};
use crate::stream::Stream;

/// The page, its rows already there: it says something before its script runs.
pub(super) async fn page(signal: &Signal, request: &Request) -> Response<Bytes> {
    if let Err(refusal) = auth::gate(signal, request).await {
        let rows = "<li class=\"none\">This server needs a token: add <code>?token=…</code> to the address.</li>";
        let html = fill(LIST, &[("{{rows}}", rows)]);
        let mut response = file(refusal.status(), HTML, Bytes::from(html));
        // What the refusal says for machines: the challenge, when to come again.
        for (name, value) in refusal.headers() {
            if !response.headers().contains_key(name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        return response;
    }
    // A token given in the address goes on to the players.
    let query = request.http.uri().query().unwrap_or("");
    let suffix = match route::query_value(query, &["token"]) {
        Some(token) => format!("?token={}", route::encode(&token)),
        None => String::new(),
    };
    let mut rows = String::new();
    for stream in streams(signal) {
        let live = stream.info().live;
        let state = if live { "live" } else { "waiting" };
        // Writing to a String can't fail.
        let _ = write!(
            rows,
            "<li><a class=\"card\" href=\"{}{suffix}\"><span class=\"name\">{}</span><span class=\"badge {state}\">{state}</span><span class=\"numbers\"><span>{} viewers</span><span>{}</span></span></a></li>",
            page_of(&stream),
            escape(stream.id()),
            signal.sessions.viewers_of(stream.key()),
            codecs(&stream).join(" + "),
        );
    }
    if rows.is_empty() {
        rows.push_str("<li class=\"none\">No stream is running.</li>");
    }
    let html = fill(LIST, &[("{{rows}}", &rows)]);
    file(StatusCode::OK, HTML, Bytes::from(html))
}

/// `streams.json`.
pub(super) async fn json(signal: &Signal, request: &Request) -> Response<Bytes> {
    if let Err(refusal) = auth::gate(signal, request).await {
        return *refusal;
    }
    let streams: Vec<Value> = streams(signal)
        .iter()
        .map(|stream| {
            json!({
                "id": stream.id(),
                "page": page_of(stream),
                "live": stream.info().live,
                "codecs": codecs(stream),
                "viewers": signal.sessions.viewers_of(stream.key()),
                "bitrate_bps": stream.stats().bitrate_bps,
            })
        })
        .collect();
    let body = json!({ "streams": streams }).to_string();
    let mut response = plain(StatusCode::OK, Bytes::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// All streams, by their names.
fn streams(signal: &Signal) -> Vec<std::sync::Arc<Stream>> {
    let mut all = signal.streams.all();
    all.sort_by(|one, other| one.id().cmp(other.id()));
    all
}

/// Relative to the list, so that it holds below a prefix and behind a proxy.
fn page_of(stream: &Stream) -> String {
    format!("play/{}", route::encode(stream.id()))
}

fn codecs(stream: &Stream) -> Vec<&'static str> {
    let info = stream.info();
    let tracks = [info.video, info.audio];
    tracks.iter().flatten().map(|it| it.codec.name()).collect()
}
