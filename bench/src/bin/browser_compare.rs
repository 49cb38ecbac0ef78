//! What Chromium sees of corertc and of other servers, in one run and in turn: how soon a viewer is connected and has a picture
//! when it joins in the middle of a long group of pictures, and how old a published picture is when it is shown.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use corertc_bench::browser::driver::Browser;
use corertc_bench::browser::mediamtx::MediaMtx;
use corertc_bench::browser::source::Source;
use corertc_bench::browser::{Server, site, wait_for};
use corertc_bench::child::{self, Child};
use corertc_bench::report::{self, argument, median, number, percentile};
use serde_json::{Value, json};

const GOP_S: usize = 10;
/// How long a joined viewer is watched for freezes.
const WATCHED: Duration = Duration::from_secs(3);
/// A first frame may take a whole group.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(GOP_S as u64 + 3);
/// What Chromium's sender and jitter buffer take to settle.
const SETTLING: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    child::play_role();
    let mut ours = Child::role("corertc-browser", None, None, &[])?;
    let mut servers = vec![described(&ours.hear()?)];
    let path = argument("--mediamtx").or_else(|| std::env::var("MEDIAMTX").ok());
    let mediamtx = match path.filter(|path| !path.is_empty()) {
        Some(path) => Some(MediaMtx::start(&path)?),
        None => {
            println!("without MediaMTX: --mediamtx PATH or MEDIAMTX=PATH names its program");
            None
        }
    };
    servers.extend(mediamtx.iter().map(|it| it.server.clone()));
    servers.extend(argument("--other").as_deref().and_then(other));
    let browser = Browser::start()?;
    browser.goto(&site::serve()?)?;
    let only = argument("--only").unwrap_or_else(|| "joins,clock".to_owned());
    if only.contains("joins") {
        joins(&browser, &servers)?;
    }
    if only.contains("clock") {
        clock(&browser, &servers)?;
    }
    Ok(())
}

fn described(said: &Value) -> Server {
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let output = said["output"].as_array().into_iter().flatten();
    Server {
        name: "corertc".to_owned(),
        whip: text("whip"),
        direct: text("direct"),
        whep: text("whep"),
        output: output
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

/// `--other NAME,WHIP,WHEP,WHEP2,RTSP`: what is published to WHIP is watched at WHEP, what FFmpeg sends to RTSP at WHEP2.
fn other(text: &str) -> Option<Server> {
    let [name, whip, direct, whep, rtsp] = text.split(',').collect::<Vec<_>>()[..] else {
        return None;
    };
    let output = format!("-map 0:v -map 0:a -c copy -f rtsp -rtsp_transport tcp {rtsp}");
    Some(Server {
        name: name.to_owned(),
        whip: whip.to_owned(),
        direct: direct.to_owned(),
        whep: whep.to_owned(),
        output: output.split(' ').map(str::to_owned).collect(),
    })
}

/// Joins, `what` until the server takes them.
fn join(browser: &Browser, url: &str, kinds: &[&str]) -> io::Result<()> {
    wait_for(&format!("{url} takes a viewer"), || {
        let arguments = [json!("viewer"), json!(url), json!(kinds)];
        let call = "bench.join(arguments[0], arguments[1], arguments[2])";
        let status = browser.wait_for(call, &arguments)?;
        Ok(status == 201 || status == 200)
    })
}

fn leave(browser: &Browser, name: &str) -> io::Result<()> {
    let left = browser.wait_for("bench.leave(arguments[0])", &[json!(name)]);
    left.map(drop)
}

fn seen(browser: &Browser) -> io::Result<Value> {
    browser.wait_for("bench.seen('viewer')", &[])
}

#[derive(Default)]
struct Joins {
    connected: Vec<f64>,
    first_frame: Vec<f64>,
    freezes: Vec<f64>,
    frozen_s: f64,
}

/// Viewers join at moments spread evenly over the group of pictures; every server has each of these moments.
fn joins(browser: &Browser, servers: &[Server]) -> io::Result<()> {
    let count = number("--joins", 20).max(2);
    let seconds = (count * servers.len() + 3) * 2 * GOP_S;
    let film = Path::new("target").join(format!("film-{seconds}.mkv"));
    if !film.exists() {
        eprintln!("making a film of {seconds} s");
        Source::film(&film, seconds, GOP_S)?;
    }
    let _source = Source::play(&film, servers)?;
    // Chromium loads what it decodes with, and the beginning of the film is found.
    join(browser, &servers[0].whep, &["video"])?;
    let begun = Instant::now();
    for server in servers {
        join(browser, &server.whep, &["video", "audio"])?;
        wait_for("a first frame", || {
            Ok(seen(browser)?["firstFrame"].is_number())
        })?;
        leave(browser, "viewer")?;
    }
    let mut all: Vec<Joins> = servers.iter().map(|_| Joins::default()).collect();
    for index in 0..count {
        // From 1 s behind a key frame to 1 s before the next one.
        let phase = 1.0 + (GOP_S as f64 - 2.0) * index as f64 / (count - 1) as f64;
        for (server, joins) in servers.iter().zip(&mut all) {
            let into = begun.elapsed().as_secs_f64() % GOP_S as f64;
            let wait = (phase - into).rem_euclid(GOP_S as f64);
            thread::sleep(Duration::from_secs_f64(wait));
            match one_join(browser, server, joins) {
                Ok(()) => {}
                Err(error) => eprintln!("join {index} of {}: {error}", server.name),
            }
            leave(browser, "viewer")?;
        }
    }
    tell_joins(servers, &all);
    Ok(())
}

fn one_join(browser: &Browser, server: &Server, joins: &mut Joins) -> io::Result<()> {
    join(browser, &server.whep, &["video", "audio"])?;
    let until = Instant::now() + FIRST_FRAME_MAX;
    let (connected, first) = loop {
        let seen = seen(browser)?;
        match (seen["connected"].as_f64(), seen["firstFrame"].as_f64()) {
            (Some(connected), Some(first)) => break (connected, first),
            _ if Instant::now() > until => return Err(io::Error::other("no first frame")),
            _ => thread::sleep(Duration::from_millis(100)),
        }
    };
    thread::sleep(WATCHED);
    let seen = seen(browser)?;
    eprintln!(
        "{}: connected {connected:.0} ms, first frame {first:.0} ms, {seen}",
        server.name
    );
    joins.connected.push(connected);
    joins.first_frame.push(first);
    joins
        .freezes
        .push(seen["freezes"].as_f64().unwrap_or_default());
    joins.frozen_s += seen["freezeSeconds"].as_f64().unwrap_or_default();
    Ok(())
}

fn tell_joins(servers: &[Server], all: &[Joins]) {
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    for (server, joins) in servers.iter().zip(all) {
        let (connected, first) = (median(&joins.connected), median(&joins.first_frame));
        let freezes = median(&joins.freezes);
        let slowest = joins.first_frame.iter().copied().fold(0.0, f64::max);
        rows.push(vec![
            server.name.clone(),
            format!("{connected:.0}"),
            format!("{first:.0}"),
            format!("{slowest:.0}"),
            format!("{freezes:.0}"),
            format!("{:.2}", joins.frozen_s),
            joins.first_frame.len().to_string(),
        ]);
        figures.push(json!({
            "server": server.name, "connected_ms": connected, "first_frame_ms": first, "slowest_first_frame_ms": slowest,
            "freezes": freezes, "frozen_s": joins.frozen_s, "all_connected_ms": joins.connected,
            "all_first_frame_ms": joins.first_frame,
        }));
    }
    let heads = [
        "server",
        "createOffer to connected, ms",
        "to first frame, ms",
        "slowest",
        "freezes (median)",
        "frozen s, all joins",
        "joins",
    ];
    println!("\njoining within a group of {GOP_S} s, medians");
    report::table(&heads, &rows);
    report::json(&json!({"bench": "browser_joins", "gop_s": GOP_S, "servers": figures}));
}

/// A page publishes a clock and plays it back, through each server in turn.
fn clock(browser: &Browser, servers: &[Server]) -> io::Result<()> {
    let (runs, seconds) = (number("--runs", 3), number("--seconds", 20));
    let codec = argument("--codec").unwrap_or_else(|| "video/H264".to_owned());
    let mut all: Vec<Vec<Vec<f64>>> = servers.iter().map(|_| Vec::new()).collect();
    for run in 1..=runs {
        for (server, runs) in servers.iter().zip(&mut all) {
            match one_clock(browser, server, &codec, seconds) {
                Ok(latencies) => {
                    let (p50, p99) = (percentile(&latencies, 0.5), percentile(&latencies, 0.99));
                    let count = latencies.len();
                    eprintln!(
                        "run {run} {}: {p50:.1} ms, p99 {p99:.1} ms, {count} frames",
                        server.name
                    );
                    runs.push(latencies);
                }
                Err(error) => eprintln!("run {run} {}: {error}", server.name),
            }
            let _ = leave(browser, "viewer");
            let _ = leave(browser, "publisher");
        }
    }
    tell_clock(servers, &all, &codec);
    Ok(())
}

/// Sorted.
fn one_clock(
    browser: &Browser,
    server: &Server,
    codec: &str,
    seconds: usize,
) -> io::Result<Vec<f64>> {
    wait_for(&format!("{} takes a publisher", server.whip), || {
        let arguments = [json!(server.whip), json!(codec), json!(number("--fps", 30))];
        let call = "bench.publish('publisher', arguments[0], arguments[1], arguments[2])";
        let status = browser.wait_for(call, &arguments)?;
        Ok(status == 201 || status == 200)
    })?;
    join(browser, &server.direct, &["video"])?;
    wait_for("a first frame", || {
        Ok(seen(browser)?["firstFrame"].is_number())
    })?;
    thread::sleep(SETTLING);
    browser.wait_for("bench.watchClock('viewer')", &[])?;
    thread::sleep(Duration::from_secs(seconds as u64));
    let said = browser.wait_for("bench.latencies('viewer')", &[])?;
    eprintln!(
        "{}: unreadable {}, {}",
        server.name,
        said["unreadable"],
        seen(browser)?
    );
    let latencies = said["latencies"].as_array().into_iter().flatten();
    let mut latencies: Vec<f64> = latencies.filter_map(Value::as_f64).collect();
    if latencies.is_empty() {
        return Err(io::Error::other("the clock was never read"));
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

fn tell_clock(servers: &[Server], all: &[Vec<Vec<f64>>], codec: &str) {
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    for (server, runs) in servers.iter().zip(all) {
        let middle = |share| {
            let each = runs.iter().map(|run| percentile(run, share));
            median(&each.collect::<Vec<_>>())
        };
        let (p50, p99) = (middle(0.5), middle(0.99));
        let frames: usize = runs.iter().map(Vec::len).sum();
        rows.push(vec![
            server.name.clone(),
            format!("{p50:.1}"),
            format!("{p99:.1}"),
            frames.to_string(),
            runs.len().to_string(),
        ]);
        figures.push(json!({
            "server": server.name, "p50_ms": p50, "p99_ms": p99, "frames": frames, "runs": runs.len(),
            "all_p50_ms": runs.iter().map(|run| percentile(run, 0.5)).collect::<Vec<_>>(),
            "all_p99_ms": runs.iter().map(|run| percentile(run, 0.99)).collect::<Vec<_>>(),
        }));
    }
    let heads = ["server", "median ms", "p99 ms", "frames", "runs"];
    println!("\nglass to glass, {codec}, medians of the runs");
    report::table(&heads, &rows);
    report::json(&json!({"bench": "glass_to_glass", "codec": codec, "servers": figures}));
}
