//! Operation: metrics that a parser reads, what asks for the token, and that no token is ever logged.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use corertc::signal::auth::AuthQuery;
use http::Request;
use prometheus_parse::{Scrape, Value};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use whep_rig::*;

fn scrape(text: &str) -> Scrape {
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("Prometheus text")
}

fn number(scrape: &Scrape, name: &str) -> f64 {
    let sample = scrape.samples.iter().find(|sample| sample.metric == name);
    match sample.unwrap_or_else(|| panic!("no {name}")).value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
        ref other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn metrics_are_read_by_a_parser_and_count_what_happened() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "a\"b\\c", true, true);
    let created = play_once_live(&subsystem, "/whep/a%22b%5Cc");
    let response = call(&subsystem, "GET", "/metrics");
    assert!(header(&response, "content-type").contains("openmetrics-text"));
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    let parsed = scrape(&text);
    for (name, _, value) in subsystem.counters().all() {
        let name = name.strip_suffix("_total").unwrap_or(name);
        let seen = number(&parsed, &format!("corertc_{name}_total"));
        assert!(seen <= value as f64, "{name}: {seen} of {value}");
    }
    assert!((number(&parsed, "corertc_sessions_total") - 1.0).abs() < f64::EPSILON);
    assert!((number(&parsed, "corertc_viewers") - 1.0).abs() < f64::EPSILON);
    assert!((number(&parsed, "corertc_streams") - 1.0).abs() < f64::EPSILON);
    let viewers = parsed
        .samples
        .iter()
        .find(|sample| sample.metric == "corertc_stream_viewers")
        .unwrap();
    // The parser leaves escapes as they are.
    assert!(viewers.labels.get("stream").unwrap().starts_with("a\\\"b"));
    // Every sample belongs to a family with HELP and TYPE, and stands there once.
    let described = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
        lines
            .map(|rest| rest.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let (help, types) = (described("# HELP "), described("# TYPE "));
    assert_eq!(help, types);
    let mut seen = BTreeSet::new();
    for sample in &parsed.samples {
        let family = sample
            .metric
            .strip_suffix("_total")
            .unwrap_or(&sample.metric);
        assert!(help.contains(family), "{family}");
        assert!(seen.insert(format!("{}{}", sample.metric, sample.labels)));
    }
    assert!(text.ends_with("# EOF\n"));
    // Whoever scrapes learns no session URL.
    let secret = header(&created, "location").rsplit('/').next().unwrap();
    assert!(!text.contains(secret));
}

/// Where a token or a callback is set, what tells of all streams asks for it; health asks nobody.
#[test]
fn the_list_and_the_metrics_ask_for_the_token_and_the_callback() {
    let mut with_token = settings();
    with_token.play_token = Some("s3cret".to_owned());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let hook = move |query: &AuthQuery| {
        seen.lock().unwrap().push(query.stream_id.clone());
        Some(if query.query.contains("banned") {
            403
        } else {
            0
        })
    };
    let subsystem = with_auth(with_token, Arc::new(hook));
    for path in ["/", "/streams.json", "/metrics"] {
        let status = |path: &str| call(&subsystem, "GET", path).status().as_u16();
        let refused = call(&subsystem, "GET", path);
        assert_eq!(refused.status(), 401, "{path}");
        assert!(header(&refused, "www-authenticate").starts_with("Bearer "));
        assert_eq!(status(&format!("{path}?token=guess")), 401);
        assert!(asked.lock().unwrap().is_empty(), "the token comes first");
        assert_eq!(status(&format!("{path}?token=s3cret")), 200, "{path}");
        assert_eq!(
            status(&format!("{path}?token=s3cret&banned")),
            403,
            "{path}"
        );
        assert_eq!(*asked.lock().unwrap(), ["", ""]);
        asked.lock().unwrap().clear();
        let request = Request::get(path).header("Authorization", "Bearer s3cret");
        let response = send(&subsystem, request.body(Bytes::new()).unwrap());
        assert_eq!(response.status(), 200, "{path}");
        asked.lock().unwrap().clear();
    }
    assert_eq!(call(&subsystem, "GET", "/healthz").status(), 200);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn the_list_as_json_says_what_a_stream_is_worth() {
    let subsystem = subsystem(settings());
    let _feed = fed(&subsystem, "a/b", true, true);
    play_once_live(&subsystem, "/whep/a%2Fb");
    let response = call(&subsystem, "GET", "/streams.json");
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let list: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let stream = &list["streams"][0];
    assert_eq!(stream["id"], "a/b");
    assert_eq!(stream["page"], "play/a%2Fb");
    assert_eq!(stream["live"], true);
    assert_eq!(stream["viewers"], 1);
    assert_eq!(stream["codecs"], serde_json::json!(["VP8", "opus"]));
    assert!(stream["bitrate_bps"].is_u64());
}

/// Everything that is logged, on every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut text = self.0.lock().unwrap();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                let _ = writeln!(text, "{field}={value:?}");
            },
        );
    }
}

/// Headers, queries, session URLs, ICE passwords, TURN secrets: nothing of them stands in a log line, an event or JSON.
#[test]
fn no_token_is_ever_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut with_secrets = settings();
    with_secrets.play_token = Some("t0ken-right".to_owned());
    with_secrets.turn_secret = Some("t0ken-turn".to_owned());
    let subsystem = subsystem(with_secrets);
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam?token=t0ken-right&x=t0ken-query");
    for path in [
        "/whep/cam?token=t0ken-wrong",
        "/metrics?token=t0ken-right",
        "/?jwt=t0ken-wrong",
        "/nowhere?token=t0ken-right",
    ] {
        for method in ["GET", "POST", "PATCH", "BREW"] {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("Authorization", "Bearer t0ken-header");
            send(&subsystem, request.body(Bytes::from("t0ken-body")).unwrap());
        }
    }
    let location = header(&created, "location").to_owned();
    let patch = Request::patch(&location)
        .header("Content-Type", "application/trickle-ice-sdpfrag")
        .header("If-Match", "*")
        .body(Bytes::from(
            "a=ice-ufrag:t0ken-ufrag\r\na=end-of-candidates\r\n",
        ))
        .unwrap();
    assert_eq!(send(&subsystem, patch).status(), 204);
    call(&subsystem, "DELETE", &location);
    let secret = location.rsplit('/').next().unwrap();
    let pwd = checks::ice(created.body()).pwd;
    let mut said = log.0.lock().unwrap().clone();
    assert!(!said.is_empty(), "a debug line at least: the log is heard");
    while let Some(event) = subsystem.events().next(std::time::Duration::ZERO) {
        let _ = writeln!(said, "{event:?}");
    }
    said.push_str(&subsystem.stats_json());
    for hidden in ["t0ken", secret, &pwd] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
}
