//! Memory per connected idle viewer, CPU per join, joins per second: corertc beside the `webrtc` crate.

use std::thread;
use std::time::Duration;

use corertc_bench::link::Link;
use corertc_bench::report::{self, median, number};
use corertc_bench::run::{self, Rig};
use serde_json::json;

struct Outcome {
    kib_per_viewer: f64,
    join_cpu_ms: f64,
    joins_per_second: f64,
    left_kib_per_viewer: f64,
    left_fds: f64,
    dtls_clients: f64,
}

fn main() -> std::io::Result<()> {
    corertc_bench::child::play_role();
    let (viewers, runs, at_once) = (
        number("--viewers", 500),
        number("--runs", 3),
        number("--at-once", 16),
    );
    let link = Link::open()?;
    let servers = run::servers();
    let mut outcomes: Vec<Vec<Outcome>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 1..=runs {
        for (index, server) in servers.iter().enumerate() {
            match measure(server, &link, viewers, at_once) {
                Ok(outcome) => {
                    eprintln!(
                        "run {round} {}: {:.1} KiB per viewer, {:.2} ms per join, {:.0} joins/s",
                        server.0,
                        outcome.kib_per_viewer,
                        outcome.join_cpu_ms,
                        outcome.joins_per_second
                    );
                    outcomes[index].push(outcome);
                }
                Err(error) => eprintln!("run {round} {}: {error}", server.0),
            }
        }
    }
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    for ((name, _), outcomes) in servers.iter().zip(&outcomes) {
        let middle = |of: fn(&Outcome) -> f64| median(&outcomes.iter().map(of).collect::<Vec<_>>());
        let kib = middle(|outcome| outcome.kib_per_viewer);
        let cpu = middle(|outcome| outcome.join_cpu_ms);
        let rate = middle(|outcome| outcome.joins_per_second);
        let left = middle(|outcome| outcome.left_kib_per_viewer);
        let fds = middle(|outcome| outcome.left_fds);
        rows.push(vec![
            name.clone(),
            format!("{kib:.1}"),
            format!("{cpu:.2}"),
            format!("{rate:.0}"),
            format!("{left:.1}"),
            format!("{fds:.0}"),
            outcomes.len().to_string(),
        ]);
        figures.push(json!({
            "server": name, "kib_per_viewer": kib, "join_cpu_ms": cpu, "joins_per_second": rate,
            "kib_per_viewer_after_leaving": left,
            "fds_after_leaving": fds, "viewers_as_dtls_client": middle(|outcome| outcome.dtls_clients), "runs": outcomes.len(),
        }));
    }
    let heads = [
        "server",
        "KiB per idle viewer",
        "CPU ms per join",
        "joins per second",
        "KiB kept after leaving",
        "fds kept",
        "runs",
    ];
    report::table(&heads, &rows);
    report::json(&json!({
        "bench": "memory", "viewers": viewers, "at_once": at_once, "link": link.name, "servers": figures,
    }));
    Ok(())
}

fn measure(
    server: &(String, Option<String>),
    link: &Link,
    viewers: usize,
    at_once: usize,
) -> std::io::Result<Outcome> {
    let mut rig = Rig::start(server, link)?;
    // The stream is live before the first figure is taken.
    thread::sleep(Duration::from_secs(1));
    let empty = rig.figures()?;
    let seconds = rig.join(viewers, at_once, 1)?;
    let joined = rig.figures()?;
    rig.trickle(false)?;
    thread::sleep(Duration::from_secs(3));
    let idle = rig.figures()?;
    let totals = rig.totals()?;
    let connected = totals["connected"].as_u64();
    if connected != Some(viewers as u64) {
        return Err(std::io::Error::other(format!(
            "connected while idle: {connected:?}"
        )));
    }
    rig.leave()?;
    thread::sleep(Duration::from_secs(2));
    let left = rig.figures()?;
    let each = |kib: u64| kib.saturating_sub(empty.rss_kib) as f64 / viewers as f64;
    Ok(Outcome {
        kib_per_viewer: each(idle.rss_kib),
        join_cpu_ms: (joined.cpu_us - empty.cpu_us) as f64 / 1000.0 / viewers as f64,
        joins_per_second: viewers as f64 / seconds,
        left_kib_per_viewer: each(left.rss_kib),
        dtls_clients: totals["dtls_clients"].as_f64().unwrap_or_default(),
        left_fds: left.fds as f64 - empty.fds as f64,
    })
}
