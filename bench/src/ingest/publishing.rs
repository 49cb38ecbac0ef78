//! The process of the publishers: one thread sends for all of them, another one takes orders.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::publisher::{Pace, Publisher};
use crate::child;
use crate::crowd::dtls::Context;
use crate::crowd::http::Url;

/// Between two looks at the sockets, and while hand-shakes are under way.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const JOINING_EVERY: Duration = Duration::from_millis(1);
const SETTLED: Duration = Duration::from_millis(300);
const JOIN_MAX: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    stopped: AtomicBool,
}

/// Orders: `publish` (WHIP URLs; answered once media flows), `sent`, `stop` (nothing is sent afterwards).
pub fn run() -> Result<(), String> {
    let shared = Arc::new(Shared::default());
    let mut thread = None;
    child::answer_each(|order| match order["do"].as_str().unwrap_or_default() {
        "publish" => {
            let (told, begun) = mpsc::channel();
            let (shared, order) = (Arc::clone(&shared), order.clone());
            thread = Some(thread::spawn(move || {
                match publish(&order, &shared, &told) {
                    Ok(()) => {}
                    Err(error) => drop(told.send(Err(error))),
                }
            }));
            match begun.recv() {
                Ok(Ok(())) => json!({}),
                Ok(Err(error)) => json!({"error": error}),
                Err(_) => json!({"error": "the publishers' thread ended"}),
            }
        }
        "sent" => json!({"sent": shared.sent.load(Ordering::SeqCst)}),
        "stop" => {
            shared.stopped.store(true, Ordering::SeqCst);
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
            json!({"sent": shared.sent.load(Ordering::SeqCst)})
        }
        other => json!({"error": format!("no such order: {other}")}),
    });
    Ok(())
}

fn publish(
    order: &Value,
    shared: &Shared,
    told: &mpsc::Sender<Result<(), String>>,
) -> Result<(), String> {
    let number = |name: &str| order[name].as_u64().unwrap_or_default();
    let pace = Pace {
        fps: number("fps") as u32,
        packets: number("packets") as u32,
        spread: Duration::from_micros(number("spread_us")),
    };
    let crypto = rtc_crypto::default_provider().map_err(|error| error.to_string())?;
    let crypto = crypto.crypto();
    let context = Arc::new(Context::new().map_err(|error| error.to_string())?);
    let urls = order["urls"].as_array().cloned().unwrap_or_default();
    let mut publishers = Vec::new();
    for url in urls.iter().filter_map(Value::as_str).filter_map(Url::parse) {
        let mut publisher = Publisher::open(&url, &context, pace).map_err(|it| it.to_string())?;
        let until = Instant::now() + JOIN_MAX;
        while !publisher.is_connected() {
            publisher.serve(crypto, Instant::now());
            if Instant::now() > until {
                return Err("a publisher is not connected after 10 s".to_owned());
            }
            thread::sleep(JOINING_EVERY);
        }
        publishers.push(publisher);
    }
    // Their frames are spread evenly over the time of one.
    let apart = Duration::from_secs(1) / pace.fps.max(1) / publishers.len().max(1) as u32;
    let mut begin = Instant::now();
    for publisher in &mut publishers {
        publisher.begin(begin);
        begin += apart;
    }
    let _ = told.send(Ok(()));
    let mut next_look = Instant::now();
    while !shared.stopped.load(Ordering::SeqCst) {
        let now = Instant::now();
        if now >= next_look {
            next_look = now + LOOK_EVERY;
            publishers.iter_mut().for_each(|it| it.serve(crypto, now));
        }
        let due = publishers.iter_mut().map(|it| it.send_due(now)).min();
        let sent = publishers.iter().map(|it| it.sent).sum();
        shared.sent.store(sent, Ordering::SeqCst);
        let wait = due.unwrap_or(next_look).min(next_look);
        thread::sleep(wait.saturating_duration_since(Instant::now()));
    }
    // What is under way arrives first.
    thread::sleep(SETTLED);
    publishers.iter_mut().for_each(Publisher::leave);
    Ok(())
}
