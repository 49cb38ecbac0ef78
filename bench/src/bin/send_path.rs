//! CPU of the sender per packet and viewer, corertc beside the `webrtc` crate (and any contender) in one run, in turn.

use std::thread;
use std::time::Duration;

use corertc_bench::report::{self, median, number};
use corertc_bench::run::{self, Rig};
use serde_json::json;

/// A run that lost more doesn't count.
const LOSS_MAX: f64 = 0.001;

struct Load {
    viewers: usize,
    fps: usize,
    packets: usize,
    seconds: usize,
    /// One packet in so many is read and authenticated.
    sample: usize,
}

struct Outcome {
    us_per_packet: f64,
    loss: f64,
    authentic: bool,
}

fn main() {
    corertc_bench::child::play_role();
    let load = Load {
        viewers: number("--viewers", 100),
        fps: number("--fps", 30),
        packets: number("--packets", 14),
        seconds: number("--seconds", 10),
        sample: number("--sample", 256),
    };
    let servers = run::servers();
    let runs = number("--runs", 3);
    let mut counted: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    let mut lost = vec![0.0_f64; servers.len()];
    for round in 1..=runs {
        for (index, server) in servers.iter().enumerate() {
            match measure(server, &load) {
                Ok(outcome) => {
                    let Outcome {
                        us_per_packet,
                        loss,
                        authentic,
                    } = outcome;
                    let good = loss.abs() <= LOSS_MAX && authentic;
                    let name = &server.0;
                    eprintln!(
                        "run {round} {name}: {us_per_packet:.3} us per packet, loss {:.3} %{}",
                        loss * 100.0,
                        if good { "" } else { " (doesn't count)" }
                    );
                    lost[index] = lost[index].max(loss);
                    if good {
                        counted[index].push(us_per_packet);
                    }
                }
                Err(error) => eprintln!("run {round} {}: {error}", server.0),
            }
        }
    }
    tell(&servers, &load, &counted, &lost);
}

fn measure(server: &(String, Option<String>), load: &Load) -> std::io::Result<Outcome> {
    let mut rig = Rig::start(server)?;
    rig.join(load.viewers, 16, load.sample as u32)?;
    rig.trickle(false)?;
    rig.feed(2 * load.fps, load.packets, load.fps)?;
    // What is still under way when the feed returns.
    let settle = || thread::sleep(Duration::from_millis(500));
    settle();
    let (totals_before, before) = (rig.totals()?, rig.figures()?);
    let sent = rig.feed(load.seconds * load.fps, load.packets, load.fps)?;
    settle();
    let (after, totals) = (rig.figures()?, rig.totals()?);
    let gained =
        |name: &str| totals[name].as_u64().unwrap_or(0) - totals_before[name].as_u64().unwrap_or(0);
    let expected = (sent * load.viewers as u64) as f64;
    let received = gained("received");
    Ok(Outcome {
        us_per_packet: (after.cpu_us - before.cpu_us) as f64 / received.max(1) as f64,
        loss: 1.0 - received as f64 / expected,
        authentic: gained("read") > 0 && gained("read") == gained("authentic"),
    })
}

fn tell(servers: &[(String, Option<String>)], load: &Load, counted: &[Vec<f64>], lost: &[f64]) {
    let medians: Vec<f64> = counted.iter().map(|runs| median(runs)).collect();
    let first = medians.first().copied().unwrap_or_default();
    let rows = servers.iter().enumerate().map(|(index, (name, _))| {
        vec![
            name.clone(),
            format!("{:.2}", medians[index]),
            format!(
                "{:.1}",
                if first > 0.0 {
                    medians[index] / first
                } else {
                    0.0
                }
            ),
            counted[index].len().to_string(),
            format!("{:.3} %", lost[index] * 100.0),
        ]
    });
    let heads = [
        "server",
        "us per packet and viewer (median)",
        "times the first",
        "runs",
        "worst loss",
    ];
    report::table(&heads, &rows.collect::<Vec<_>>());
    let figures = servers.iter().enumerate().map(|(index, (name, _))| {
        json!({"server": name, "us_per_packet": medians[index], "runs": counted[index], "worst_loss": lost[index]})
    });
    report::json(&json!({
        "bench": "send_path", "viewers": load.viewers, "fps": load.fps, "packets_per_frame": load.packets,
        "seconds": load.seconds, "link": "loopback", "servers": figures.collect::<Vec<_>>(),
    }));
}
