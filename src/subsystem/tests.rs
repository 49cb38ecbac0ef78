//! A disabled subsystem is valid and inert.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;

fn settings(enable: bool) -> Settings {
    Settings {
        enable,
        udp_listen: Vec::new(),
        workers: 1,
        gop_cache: Duration::ZERO,
        ..Settings::default()
    }
}

fn disabled() -> Subsystem {
    let hooks = Hooks {
        teardown: Arc::new(|_| panic!("nothing to tear down")),
        whip_teardown: Arc::new(|_| panic!("nothing to tear down")),
        auth: Arc::new(|_| None),
    };
    Subsystem::new(settings(false), hooks).unwrap()
}

#[test]
fn disabled_it_starts_without_legs_and_answers_404() {
    let subsystem = disabled();
    let process = ProcessSettings::default();
    assert!(!subsystem.enabled());
    assert_eq!(subsystem.process_start("a", &process), Ok(Vec::new()));
    assert_eq!(subsystem.start_bounds("a", &process), (0, 0));
    assert!(matches!(
        subsystem.process_stop("a"),
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        subsystem.session_close("x"),
        Err(Error::NotFound(_))
    ));
    assert_eq!(subsystem.http_listen("127.0.0.1:0"), Ok(0));
    assert!(matches!(
        subsystem.http_listen("nonsense"),
        Err(Error::Invalid(_))
    ));
    assert_eq!(subsystem.http_unlisten(), Ok(()));
    let request = ::http::Request::new(Bytes::new());
    let response = subsystem.http_handle(request, "", Duration::ZERO).unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(
        (subsystem.stream_count(), subsystem.now()),
        (0, (0, 0, 0, 0))
    );
}

#[test]
fn disabled_it_still_reports_and_closes() {
    let subsystem = disabled();
    let stats: serde_json::Value = serde_json::from_str(&subsystem.stats_json()).unwrap();
    assert_eq!(stats["enabled"], false);
    assert_eq!(stats["closed"], false);
    assert_eq!(stats["counters"]["sessions_total"], 0);
    assert_eq!(stats["streams"], serde_json::json!([]));
    assert!(
        subsystem
            .metrics()
            .contains("\ncorertc_events_lost_total 0\n")
    );

    assert_eq!(subsystem.close(Duration::ZERO), Ok(()));
    assert_eq!(subsystem.close(Duration::ZERO), Ok(()));
    let process = ProcessSettings::default();
    assert!(matches!(
        subsystem.process_start("a", &process),
        Err(Error::State(_))
    ));
    assert!(matches!(
        subsystem.http_listen("127.0.0.1:0"),
        Err(Error::State(_))
    ));
    assert!(subsystem.stats_json().contains("\"closed\":true"));
}
