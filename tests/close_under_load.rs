//! Closing while viewers watch, hosts start and stop, and clients POST: within the deadline, with a goodbye for
//! everyone, and with nothing left behind.
#![allow(missing_docs, clippy::unwrap_used)]

mod hostile_rig;
#[path = "common/rig/mod.rs"]
mod rig;
mod whep_rig;

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::config::ProcessSettings;
use corertc::error::Error;

use hostile_rig::Stage;
use hostile_rig::watcher::Watcher;
use whep_rig::{OFFER, post, send, settings};

/// For anything that takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(5);
const VIEWERS: usize = 12;

#[test]
fn close_keeps_its_deadline_and_says_goodbye_to_everyone() {
    let mut settings = settings();
    settings.workers = 2;
    let stage = Stage::new(settings);
    let more: Vec<Watcher> = (1..VIEWERS)
        .map(|_| Watcher::play(&stage.subsystem, "/whep/cam"))
        .collect();
    let subsystem = &stage.subsystem;
    let port = subsystem.http_listen("127.0.0.1:0").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let done = &done;
            scope.spawn(move || {
                let id = format!("other{number}");
                while !done.load(Ordering::Relaxed) {
                    let _ = subsystem.process_start(&id, &ProcessSettings::default());
                    let _ = subsystem.process_stop(&id);
                }
            });
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let status = send(
                        subsystem,
                        post("/whep/cam").body(Bytes::from(OFFER)).unwrap(),
                    )
                    .status();
                    assert!([201, 404, 503].contains(&status.as_u16()), "{status}");
                }
            });
        }
        // Load, not an idle moment before it.
        let before = subsystem.counters().sessions_total.value();
        let patience = Instant::now() + PATIENCE;
        while subsystem.counters().sessions_total.value() < before + 20 {
            assert!(Instant::now() < patience);
            std::thread::yield_now();
        }
        let began = Instant::now();
        let closed = subsystem.close(DEADLINE);
        let took = began.elapsed();
        done.store(true, Ordering::Relaxed);
        closed.unwrap();
        // The deadline is the library's promise; what a busy machine adds to it is not.
        assert!(took < DEADLINE + Duration::from_secs(2), "{took:?}");
    });
    let patience = Instant::now() + PATIENCE;
    for watcher in more.iter().chain([&stage.watcher]) {
        while watcher.seen().closed.as_deref() != Some("close_notify") {
            assert!(Instant::now() < patience, "{:?}", watcher.seen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // Sockets are closed on return, and nothing begins any more.
    UdpSocket::bind(stage.address()).unwrap();
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    let refused = subsystem.process_start("late", &ProcessSettings::default());
    assert!(matches!(refused, Err(Error::State(_))), "{refused:?}");
    assert_eq!(stage.sessions(), 0);
    subsystem.close(DEADLINE).unwrap();
}
