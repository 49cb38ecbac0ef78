//! Months in minutes: subsystems come and go beside one that stays, viewers join and leave in every way, processes restart;
//! afterwards no descriptor, thread or memory is there that was not after the first rounds. SOAK_SECONDS: for how long.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod hostile_rig;
#[path = "common/rig/mod.rs"]
mod rig;
mod whep_rig;

use std::sync::Arc;
use std::time::{Duration, Instant};

use corertc::config::Settings;
use corertc::subsystem::Subsystem;

use hostile_rig::resident_bytes;
use hostile_rig::watcher::Watcher;
use whep_rig::{call, fed, settings, subsystem};

/// For anything that takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ROUNDS_MIN: usize = 30;
/// Rounds, and a third of the time, after which everything that is made once has been made.
const WARM_UP: usize = 10;
/// What an allocator keeps without a leak. A session (some 30 KiB) leaked in each of the minutes' rounds would be more.
const GROWTH_MAX: u64 = 4 << 20;

/// What a process has of its own.
#[derive(Debug, Clone, Copy)]
struct Census {
    descriptors: usize,
    threads: usize,
    bytes: u64,
}

fn census() -> Census {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    Census {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        bytes: resident_bytes(),
    }
}

#[test]
fn a_few_rounds_leave_nothing() {
    soak(Duration::ZERO, WARM_UP + 3);
}

#[test]
#[ignore = "three minutes: make check-all"]
fn minutes_of_coming_and_going_leave_nothing() {
    let seconds = std::env::var("SOAK_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(180);
    soak(Duration::from_secs(seconds), ROUNDS_MIN);
}

fn soak(time: Duration, rounds_min: usize) {
    let mut settings = settings();
    settings.workers = 2;
    // Whoever leaves without a word is gone after a moment, too.
    settings.idle_timeout = Duration::from_secs(1);
    let stays = subsystem(settings.clone());
    let _feed = fed(&stays, "cam", true, true);
    let began = Instant::now();
    let mut rounds = 0;
    let mut first = None;
    while rounds < rounds_min || began.elapsed() < time {
        round(&stays, &settings, rounds);
        // Nobody is there who would take them.
        while stays.events().next(Duration::ZERO).is_some() {}
        rounds += 1;
        if rounds.is_multiple_of(50) {
            println!("{rounds}: {:?}", census());
        }
        if first.is_none() && rounds >= WARM_UP && began.elapsed() >= time / 3 {
            first = Some(settled(&stays, None));
        }
    }
    let first = first.unwrap();
    let last = settled(&stays, Some(first));
    println!(
        "{rounds} rounds in {:?}: {first:?}, {last:?}",
        began.elapsed()
    );
    let grown = last.bytes.saturating_sub(first.bytes);
    assert!(grown <= GROWTH_MAX, "{grown} bytes more");
    let counters = stays.counters();
    assert_eq!(counters.panics.value(), 0);
    assert_eq!(counters.sessions_total.value(), 3 * rounds as u64);
}

/// Viewers leave the one that stays in three ways; another subsystem says goodbye to its own by a stop and by its close.
fn round(stays: &Arc<Subsystem>, settings: &Settings, number: usize) {
    let deleted = Watcher::play(stays, "/whep/cam");
    let kicked = Watcher::play(stays, "/whep/cam");
    let silent = Watcher::play(stays, "/whep/cam");
    drop(silent);
    assert_eq!(call(stays, "DELETE", &deleted.url).status(), 200);
    told(&deleted);
    let stats: serde_json::Value = serde_json::from_str(&stays.stats_json()).unwrap();
    for session in stats["sessions"].as_array().unwrap() {
        let _ = stays.session_close(session["session"].as_str().unwrap());
    }
    told(&kicked);

    let goes = subsystem(settings.clone());
    let (stopped, closed) = (
        fed(&goes, "stopped", true, true),
        fed(&goes, "closed", true, true),
    );
    let of_stopped = [(); 2].map(|()| Watcher::play(&goes, "/whep/stopped"));
    let of_closed = Watcher::play(&goes, "/whep/closed");
    goes.process_stop("stopped").unwrap();
    assert_eq!(
        goes.now().2,
        1,
        "round {number}: viewers of the other process"
    );
    of_stopped.iter().for_each(told);
    goes.close(PATIENCE).unwrap();
    told(&of_closed);
    drop((stopped, closed));
}

fn told(watcher: &Watcher) {
    let deadline = Instant::now() + PATIENCE;
    while watcher.seen().closed.as_deref() != Some("close_notify") {
        assert!(Instant::now() < deadline, "{:?}", watcher.seen());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What there is once everything that goes is gone; not more than `before`, but for memory.
fn settled(stays: &Subsystem, before: Option<Census>) -> Census {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = census();
        let more = before.is_some_and(|before| {
            now.descriptors > before.descriptors || now.threads > before.threads
        });
        if stays.now().2 == 0 && !more {
            return now;
        }
        assert!(Instant::now() < deadline, "{before:?} became {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
