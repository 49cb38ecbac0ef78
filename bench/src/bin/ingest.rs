//! CPU of the server per packet of WHIP publishers, and how long a packet takes through it: corertc in both forms of its input
//! leg and straight to a viewer, beside the `webrtc` crate and any contender in one run, in turn.

use std::thread;
use std::time::Duration;

use corertc_bench::ingest::{Load, Rig};
use corertc_bench::report::{self, median, number, numbers};
use corertc_bench::run;
use serde_json::json;

/// A run that lost more doesn't count; a frame of each publisher may be under way when the packets are counted.
const LOSS_MAX: f64 = 0.001;
const WARM_UP: Duration = Duration::from_secs(2);

struct Outcome {
    us_per_packet: f64,
    lost: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

fn main() -> std::io::Result<()> {
    corertc_bench::child::play_role();
    let servers = run::servers_or("corertc-udp,corertc-rtsp,corertc-direct,webrtc-whip");
    let mut complete = true;
    let counts = match report::argument("--publishers") {
        Some(_) => numbers("--publishers", 1),
        None => vec![1, 10],
    };
    for publishers in counts {
        // Back to back as FFmpeg and OBS send a frame, and spread over 10 ms as browsers do.
        for spread_us in [0, number("--spread-us", 10_000)] {
            let load = Load {
                publishers,
                fps: number("--fps", 30),
                packets: number("--packets", 14),
                spread_us,
            };
            complete &= compare(&servers, &load);
        }
    }
    match complete {
        true => Ok(()),
        false => Err(std::io::Error::other("too few runs that count")),
    }
}

/// All servers in turn under one load; whether enough runs counted.
fn compare(servers: &[(String, Option<String>)], load: &Load) -> bool {
    let runs = number("--runs", 3);
    let mut counted: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    // A run that doesn't count is made up for, as often as there are runs.
    for round in 1..=2 * runs {
        for (server, counted) in servers.iter().zip(&mut counted) {
            if counted.len() >= runs {
                continue;
            }
            match measure(server, load) {
                Ok(outcome) => {
                    let good = outcome.lost <= 0.0;
                    eprintln!(
                        "run {round} {}: {:.2} us per packet, p50 {:.3} ms, p99 {:.3} ms{}",
                        server.0,
                        outcome.us_per_packet,
                        outcome.p50_ms,
                        outcome.p99_ms,
                        if good {
                            ""
                        } else {
                            " (packets were lost: doesn't count)"
                        }
                    );
                    if good {
                        counted.push(outcome);
                    }
                }
                Err(error) => eprintln!("run {round} {}: {error}", server.0),
            }
        }
    }
    tell(servers, load, &counted);
    counted.iter().all(|counted| counted.len() >= runs)
}

fn measure(server: &(String, Option<String>), load: &Load) -> std::io::Result<Outcome> {
    let mut rig = Rig::start(server, load)?;
    thread::sleep(WARM_UP);
    let before = rig.now()?;
    rig.latencies()?;
    thread::sleep(Duration::from_secs(number("--seconds", 10) as u64));
    let after = rig.now()?;
    let latencies = rig.latencies()?;
    rig.stop()?;
    let gained = |of: fn(&corertc_bench::ingest::Moment) -> u64| (of(&after) - of(&before)) as f64;
    let sent = gained(|it| it.sent);
    let missing = (sent - gained(|it| it.received)).abs();
    let allowed = sent * LOSS_MAX + (load.packets * load.publishers) as f64;
    let ms = |name: &str| latencies[name].as_f64().unwrap_or_default() / 1000.0;
    Ok(Outcome {
        us_per_packet: gained(|it| it.cpu_us) / sent.max(1.0),
        lost: (missing - allowed).max(0.0) / sent.max(1.0),
        p50_ms: ms("p50_us"),
        p99_ms: ms("p99_us"),
        max_ms: ms("max_us"),
    })
}

fn tell(servers: &[(String, Option<String>)], load: &Load, counted: &[Vec<Outcome>]) {
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    let mut first = None;
    for ((name, _), outcomes) in servers.iter().zip(counted) {
        let middle = |of: fn(&Outcome) -> f64| median(&outcomes.iter().map(of).collect::<Vec<_>>());
        let us = middle(|it| it.us_per_packet);
        let (p50, p99, max) = (
            middle(|it| it.p50_ms),
            middle(|it| it.p99_ms),
            middle(|it| it.max_ms),
        );
        let times = us / *first.get_or_insert(us);
        rows.push(vec![
            name.clone(),
            format!("{us:.2}"),
            format!("{times:.1}"),
            format!("{p50:.3}"),
            format!("{p99:.3}"),
            format!("{max:.3}"),
            outcomes.len().to_string(),
        ]);
        figures.push(json!({
            "server": name, "us_per_packet": us, "times_the_first": times, "p50_ms": p50, "p99_ms": p99, "max_ms": max,
            "runs": outcomes.iter().map(|it| it.us_per_packet).collect::<Vec<_>>(),
        }));
    }
    let heads = [
        "server",
        "us per packet",
        "times the first",
        "p50 ms",
        "p99 ms",
        "max ms",
        "runs",
    ];
    let Load {
        publishers,
        spread_us,
        ..
    } = load;
    println!("\n{publishers} publishers, a frame's packets over {spread_us} us");
    report::table(&heads, &rows);
    report::json(&json!({
        "bench": "ingest", "publishers": publishers, "fps": load.fps, "packets_per_frame": load.packets,
        "spread_us": spread_us, "seconds": number("--seconds", 10), "servers": figures,
    }));
}
