//! CPU of the sender per packet and viewer, corertc beside the floor, the `webrtc` crate and any contender in one run, in
//! turn: for every link and every number of viewers asked for.

use std::thread;
use std::time::Duration;

use corertc_bench::link::{self, Link};
use corertc_bench::plot::{self, Group};
use corertc_bench::report::{self, argument, median, number, numbers};
use corertc_bench::run::{self, Rig};
use serde_json::{Value, json};

/// A run that lost more doesn't count.
const LOSS_MAX: f64 = 0.001;

#[derive(Clone, Copy)]
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

fn main() -> std::io::Result<()> {
    corertc_bench::child::play_role();
    let servers = run::servers();
    let mut groups = Vec::new();
    let mut complete = true;
    for name in link::names() {
        let link = Link::named(&name)?;
        for viewers in numbers("--viewers", 100) {
            let load = Load {
                viewers,
                fps: number("--fps", 30),
                packets: number("--packets", 14),
                seconds: number("--seconds", 10),
                sample: number("--sample", 256),
            };
            let (group, all) = compare(&servers, &link, &load);
            groups.push(group);
            complete &= all;
        }
    }
    if let Some(path) = argument("--svg") {
        std::fs::write(path, plot::svg(&groups))?;
    }
    match complete {
        true => Ok(()),
        false => Err(std::io::Error::other("too few runs that count")),
    }
}

/// All servers in turn under one load; the bars of the plot, and whether enough runs counted.
fn compare(servers: &[(String, Option<String>)], link: &Link, load: &Load) -> (Group, bool) {
    let runs = number("--runs", 3);
    let mut results: Vec<Results> = servers.iter().map(|_| Results::default()).collect();
    // A run that doesn't count is made up for, as often as there are runs.
    for round in 1..=2 * runs {
        for (server, results) in servers.iter().zip(&mut results) {
            if results.counted.len() >= runs {
                continue;
            }
            match measure(server, link, load) {
                Ok(outcome) => results.add(&format!("run {round} {}", server.0), &outcome),
                Err(error) => eprintln!("run {round} {}: {error}", server.0),
            }
        }
    }
    tell(servers, load, link.name, &results);
    let bars = servers.iter().zip(&results);
    let group = Group {
        title: format!("{}, {} viewers", link.name, load.viewers),
        bars: bars
            .map(|((name, _), results)| (name.clone(), median(&results.counted)))
            .collect(),
    };
    let complete = results.iter().all(|results| results.counted.len() >= runs);
    (group, complete)
}

#[derive(Default)]
struct Results {
    counted: Vec<f64>,
    discarded: usize,
    /// Of all runs, discarded ones too.
    worst_loss: f64,
}

impl Results {
    fn add(&mut self, name: &str, outcome: &Outcome) {
        let Outcome {
            us_per_packet,
            loss,
            authentic,
        } = *outcome;
        let good = loss.abs() <= LOSS_MAX && authentic;
        let verdict = if good { "" } else { " (doesn't count)" };
        let percent = loss * 100.0;
        eprintln!("{name}: {us_per_packet:.3} us per packet, loss {percent:.3} %{verdict}");
        self.worst_loss = self.worst_loss.max(loss);
        if good {
            self.counted.push(us_per_packet);
        } else {
            self.discarded += 1;
        }
    }
}

fn measure(
    server: &(String, Option<String>),
    link: &Link,
    load: &Load,
) -> std::io::Result<Outcome> {
    let mut rig = Rig::start(server, link)?;
    rig.join(load.viewers, 16, load.sample as u32)?;
    rig.trickle(false)?;
    rig.feed(2 * load.fps, load.packets, load.fps)?;
    let (totals_before, before) = (settled(&mut rig)?, rig.figures()?);
    let sent = rig.feed(load.seconds * load.fps, load.packets, load.fps)?;
    let (totals, after) = (settled(&mut rig)?, rig.figures()?);
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

/// The totals once nothing arrives any more: a server may hold back packets for longer than the feed takes to end.
fn settled(rig: &mut Rig) -> std::io::Result<Value> {
    let mut last = Value::Null;
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(300));
        let totals = rig.totals()?;
        if totals["received"] == last["received"] {
            return Ok(totals);
        }
        last = totals;
    }
    Err(std::io::Error::other(
        "packets still arrive 15 s after the feed ended",
    ))
}

fn tell(servers: &[(String, Option<String>)], load: &Load, link: &str, results: &[Results]) {
    let medians: Vec<f64> = results
        .iter()
        .map(|results| median(&results.counted))
        .collect();
    let first = medians.first().copied().filter(|&first| first > 0.0);
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    for (((name, _), results), &us) in servers.iter().zip(results).zip(&medians) {
        let times = first.map_or(0.0, |first| us / first);
        rows.push(vec![
            name.clone(),
            format!("{us:.2}"),
            format!("{times:.1}"),
            results.counted.len().to_string(),
            results.discarded.to_string(),
            format!("{:.3} %", results.worst_loss * 100.0),
        ]);
        figures.push(json!({
            "server": name, "us_per_packet": us, "times_the_first": times, "runs": results.counted,
            "discarded": results.discarded, "worst_loss": results.worst_loss,
        }));
    }
    let heads = [
        "server",
        "us per packet and viewer",
        "times the first",
        "runs",
        "discarded",
        "worst loss",
    ];
    println!("\n{link}, {} viewers", load.viewers);
    report::table(&heads, &rows);
    report::json(&json!({
        "bench": "send_path", "viewers": load.viewers, "fps": load.fps, "packets_per_frame": load.packets,
        "seconds": load.seconds, "link": link, "servers": figures,
    }));
}
