//! One server and its viewers: the rig of every run, from both sides.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::{self, Child};
use crate::crowd::{Crowd, Join};
use crate::feed::Feed;
use crate::ingest::reading;
use crate::link::Link;
use crate::{host, report};

/// Between two frames of the trickle that keeps a stream live while viewers join.
const TRICKLE: Duration = Duration::from_millis(500);

/// A server by name: ours by the name alone, any other by `--contender NAME=PROGRAM`.
#[must_use]
pub fn servers() -> Vec<(String, Option<String>)> {
    servers_or("corertc,webrtc")
}

/// The same, with others where `--servers` names none.
#[must_use]
pub fn servers_or(default: &str) -> Vec<(String, Option<String>)> {
    let named = report::argument("--servers").unwrap_or_else(|| default.to_owned());
    let ours = named.split(',').filter(|name| !name.is_empty());
    let mut servers: Vec<_> = ours.map(|name| (name.to_owned(), None)).collect();
    let mut arguments = std::env::args();
    while arguments.any(|argument| argument == "--contender") {
        if let Some((name, program)) = arguments
            .next()
            .as_deref()
            .and_then(|text| text.split_once('='))
        {
            servers.push((name.to_owned(), Some(program.to_owned())));
        }
    }
    servers
}

/// A server's figures at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// CPU so far, user and system.
    pub cpu_us: u64,
    /// Resident memory.
    pub rss_kib: u64,
    /// Open descriptors.
    pub fds: u64,
}

/// A server process, a process with its viewers, and one with its feed.
pub struct Rig {
    server: Child,
    viewers: Child,
    feed: Child,
    url: String,
}

impl Rig {
    /// Starts them, the server on core 0, the others on the last one; the trickle runs.
    pub fn start((name, program): &(String, Option<String>), link: &Link) -> io::Result<Self> {
        let host = ["--host", link.host];
        let mut server = match program {
            Some(program) => Child::program(program, 0, &host)?,
            None => Child::role(name, 0, None, &host)?,
        };
        let ready = server.hear()?;
        let core = host::cores() - 1;
        let setup = report::argument("--setup").unwrap_or_else(|| "actpass".to_owned());
        let mut rig = Self {
            server,
            viewers: Child::role(
                "viewers",
                core,
                link.namespace.as_deref(),
                &["--setup", &setup],
            )?,
            feed: Child::role("feed", core, None, &[])?,
            url: ready["url"].as_str().unwrap_or_default().to_owned(),
        };
        let (port, payload_type) = (&ready["rtp_port"], &ready["payload_type"]);
        rig.feed
            .ask(&json!({"do": "open", "port": port, "payload_type": payload_type}))?;
        rig.trickle(true)?;
        Ok(rig)
    }

    /// CPU and memory of the server now.
    pub fn figures(&mut self) -> io::Result<Figures> {
        let answer = self.server.ask(&json!({"do": "stat"}))?;
        Ok(Figures {
            cpu_us: answer["cpu_us"].as_u64().unwrap_or_default(),
            rss_kib: answer["rss_kib"].as_u64().unwrap_or_default(),
            fds: answer["fds"].as_u64().unwrap_or_default(),
        })
    }

    /// Two packets every half second, or nothing.
    pub fn trickle(&mut self, on: bool) -> io::Result<()> {
        self.feed.ask(&json!({"do": "trickle", "on": on})).map(drop)
    }

    /// Viewers join; fails where not all of them got through. Returns the seconds it took.
    pub fn join(&mut self, viewers: usize, at_once: usize, sample: u32) -> io::Result<f64> {
        let order = json!({"do": "join", "url": self.url, "viewers": viewers, "at_once": at_once, "sample": sample});
        let answer = self.viewers.ask(&order)?;
        if answer["connected"].as_u64() != Some(viewers as u64) {
            return Err(io::Error::other(format!("not all joined: {answer}")));
        }
        Ok(answer["seconds"].as_f64().unwrap_or_default())
    }

    /// Sends frames at `fps`; returns once the last one is out.
    pub fn feed(&mut self, frames: usize, packets: usize, fps: usize) -> io::Result<u64> {
        let order = json!({"do": "feed", "frames": frames, "packets": packets, "fps": fps});
        Ok(self.feed.ask(&order)?["sent"].as_u64().unwrap_or_default())
    }

    /// The sums over all viewers: `received`, `read`, `authentic`, `gcm`, `dtls_clients`, `connected`.
    pub fn totals(&mut self) -> io::Result<Value> {
        self.viewers.ask(&json!({"do": "totals"}))
    }

    /// All viewers leave.
    pub fn leave(&mut self) -> io::Result<()> {
        self.viewers.ask(&json!({"do": "leave"})).map(drop)
    }
}

/// The process of the viewers.
pub fn viewers() -> Result<(), String> {
    let crowd = Crowd::new(1).map_err(|error| error.to_string())?;
    child::answer_each(|order| match order["do"].as_str().unwrap_or_default() {
        "join" => join(&crowd, order),
        "totals" => {
            let totals = crowd.totals();
            json!({
                "received": totals.received, "read": totals.read, "authentic": totals.authentic,
                "gcm": totals.gcm, "dtls_clients": totals.dtls_clients, "connected": totals.connected,
            })
        }
        "latencies" => reading::summary(crowd.latencies_ns()),
        "leave" => {
            crowd.leave();
            json!({})
        }
        other => json!({"error": format!("no such order: {other}")}),
    });
    Ok(())
}

/// The process of the feed.
pub fn feed() -> Result<(), String> {
    let feed: Arc<Mutex<Option<Feed>>> = Arc::default();
    let trickling = Arc::new(AtomicBool::new(false));
    trickle(&feed, &trickling);
    child::answer_each(|order| {
        let number = |name: &str| order[name].as_u64().unwrap_or_default();
        let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match (order["do"].as_str().unwrap_or_default(), feed.as_mut()) {
            ("open", _) => {
                Feed::new(number("port") as u16, number("payload_type") as u8).map(|opened| {
                    *feed = Some(opened);
                    json!({})
                })
            }
            ("trickle", _) => {
                trickling.store(order["on"] == true, Ordering::Relaxed);
                Ok(json!({}))
            }
            ("feed", Some(feed)) => {
                let (frames, packets, fps) = (number("frames"), number("packets"), number("fps"));
                let sent = feed.run(frames as u32, packets as u32, fps as u32);
                sent.map(|sent| json!({"sent": sent}))
            }
            (other, _) => Err(io::Error::other(format!("no such order: {other}"))),
        };
        outcome.unwrap_or_else(|error| json!({"error": error.to_string()}))
    });
    Ok(())
}

fn join(crowd: &Crowd, order: &Value) -> Value {
    let number = |name: &str| order[name].as_u64().unwrap_or_default();
    let joined = crowd.join(&Join {
        url: order["url"].as_str().unwrap_or_default().to_owned(),
        token: None,
        viewers: number("viewers") as usize,
        at_once: number("at_once") as usize,
        sample: number("sample") as u32,
        setup: report::argument("--setup").unwrap_or_else(|| "actpass".to_owned()),
        deadline: Duration::from_secs(60),
    });
    match joined {
        Ok(joined) => {
            json!({"connected": joined.connected, "seconds": joined.seconds, "failure": joined.error})
        }
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn trickle(feed: &Arc<Mutex<Option<Feed>>>, on: &Arc<AtomicBool>) {
    let (feed, on) = (Arc::clone(feed), Arc::clone(on));
    thread::spawn(move || {
        loop {
            if on.load(Ordering::Relaxed) {
                let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(feed) = feed.as_mut() {
                    let _ = feed.frame(2);
                }
            }
            thread::sleep(TRICKLE);
        }
    });
}
