//! How long the start hook keeps a host waiting, and whether 10,000 starts and stops leak a port, a descriptor or a byte.

use std::time::{Duration, Instant};

use corertc::config::{ProcessSettings, Settings};
use corertc::subsystem::Subsystem;
use corertc_bench::report::{self, number, percentile};
use corertc_bench::{host, servers};
use serde_json::json;

/// Ports of the second part: four pairs, so that one leaked pair in four ends the run.
const NARROW: std::ops::RangeInclusive<u16> = 42_000..=42_007;

fn main() {
    corertc_bench::child::play_role();
    let times = number("--times", 10_000);
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    let free = servers::corertc::settings();
    let narrow = Settings {
        leg_ports: Some(NARROW),
        ..free.clone()
    };
    for (name, settings) in [("ports of the system", free), ("range of 4 pairs", narrow)] {
        match measure(settings, times) {
            Ok(outcome) => {
                rows.push(outcome.row(name));
                figures.push(outcome.json(name));
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                figures.push(json!({"ports": name, "error": error.to_string()}));
            }
        }
    }
    let heads = [
        "ports",
        "start median",
        "p99",
        "max",
        "over 2 ms",
        "stop median",
        "fds leaked",
        "heap growth",
        "RSS growth",
    ];
    report::table(&heads, &rows);
    report::json(&json!({"bench": "start_hook", "times": times, "runs": figures}));
}

struct Outcome {
    /// Sorted, in microseconds.
    starts: Vec<f64>,
    stops: Vec<f64>,
    fds: i64,
    heap_bytes: i64,
    rss_kib: i64,
}

impl Outcome {
    fn row(&self, name: &str) -> Vec<String> {
        let us = |value: f64| format!("{value:.0} us");
        vec![
            name.to_owned(),
            us(percentile(&self.starts, 0.5)),
            us(percentile(&self.starts, 0.99)),
            us(percentile(&self.starts, 1.0)),
            self.late().to_string(),
            us(percentile(&self.stops, 0.5)),
            self.fds.to_string(),
            format!("{} B", self.heap_bytes),
            format!("{} KiB", self.rss_kib),
        ]
    }

    /// Starts over the limit; on a busy machine some wait for a core, not for us.
    fn late(&self) -> usize {
        self.starts.iter().filter(|&&us| us > 2000.0).count()
    }

    fn json(&self, name: &str) -> serde_json::Value {
        json!({
            "ports": name, "start_us": {
                "median": percentile(&self.starts, 0.5), "p99": percentile(&self.starts, 0.99),
                "max": percentile(&self.starts, 1.0), "over_2_ms": self.late(),
            },
            "stop_us_median": percentile(&self.stops, 0.5), "fds_leaked": self.fds,
            "heap_growth_bytes": self.heap_bytes, "rss_growth_kib": self.rss_kib,
        })
    }
}

fn measure(settings: Settings, times: usize) -> Result<Outcome, corertc::error::Error> {
    let subsystem = Subsystem::new(settings, servers::corertc::hooks())?;
    let process = ProcessSettings::default();
    let mut outcome = Outcome {
        // Written once now, so that the pages are there before the first census.
        starts: vec![1.0; times],
        stops: vec![1.0; times],
        fds: 0,
        heap_bytes: 0,
        rss_kib: 0,
    };
    // Lazy allocations (thread stacks, buffers of libraries) are made by the first thousand, leaks by all.
    for round in 0..1000 {
        once(&subsystem, &process, round)?;
    }
    let census = || {
        while subsystem.events().next(Duration::ZERO).is_some() {}
        (
            host::open_fds() as i64,
            host::heap_bytes() as i64,
            host::rss_kib() as i64,
        )
    };
    let before = census();
    for round in 0..times {
        (outcome.starts[round], outcome.stops[round]) = once(&subsystem, &process, round)?;
    }
    let after = census();
    outcome.fds = after.0 - before.0;
    outcome.heap_bytes = after.1 - before.1;
    outcome.rss_kib = after.2 - before.2;
    outcome.starts.sort_by(f64::total_cmp);
    outcome.stops.sort_by(f64::total_cmp);
    subsystem.close(Duration::from_secs(2))?;
    Ok(outcome)
}

/// Microseconds of a start and of its stop. A thousand ids in turn: a leak per id would show as well as one per start.
fn once(
    subsystem: &Subsystem,
    process: &ProcessSettings,
    round: usize,
) -> Result<(f64, f64), corertc::error::Error> {
    let id = format!("process-{:03}", round % 1000);
    let begin = Instant::now();
    subsystem.process_start(&id, process)?;
    let started = Instant::now();
    subsystem.process_stop(&id)?;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    Ok((us(started - begin), us(started.elapsed())))
}
