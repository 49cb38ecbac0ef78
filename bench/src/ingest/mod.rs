//! The way in: WHIP publishers, a server, and what reads from it in FFmpeg's place or watches directly.

mod publisher;
pub mod publishing;
pub mod reading;

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Child;
use crate::host;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Publishers, an input each.
    pub publishers: usize,
    /// Video frames a second, 50 audio packets come on top.
    pub fps: usize,
    /// Packets a frame.
    pub packets: usize,
    /// A frame's packets are spread over so long.
    pub spread_us: usize,
}

/// A server's CPU, what was sent to it and what came out, so far.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// User and system.
    pub cpu_us: u64,
    /// By all publishers.
    pub sent: u64,
    /// By all readers or viewers.
    pub received: u64,
}

/// The three processes.
pub struct Rig {
    server: Child,
    publishers: Child,
    readers: Child,
    direct: bool,
}

impl Rig {
    /// Server on core 0, the others on the last one; returns when media arrives at every reader's process.
    pub fn start((name, program): &(String, Option<String>), load: &Load) -> io::Result<Self> {
        let ports = free_ports(load.publishers)?;
        let more = ["--inputs", &ports];
        let mut server = match program {
            Some(program) => Child::program(program, 0, &more)?,
            None => Child::role(name, 0, None, &more)?,
        };
        let inputs = server.hear()?["inputs"].take();
        let list = inputs.as_array().cloned().unwrap_or_default();
        let direct = list.iter().any(|it| it["whep"].is_string());
        let core = host::cores() - 1;
        let role = if direct { "viewers" } else { "readers" };
        let mut rig = Self {
            server,
            publishers: Child::role("publishers", core, None, &[])?,
            readers: Child::role(role, core, None, &[])?,
            direct,
        };
        if !direct {
            rig.readers.ask(&json!({"do": "open", "inputs": inputs}))?;
        }
        let urls: Vec<&Value> = list.iter().map(|it| &it["whip"]).collect();
        rig.publishers.ask(&json!({
            "do": "publish", "urls": urls, "fps": load.fps, "packets": load.packets, "spread_us": load.spread_us,
        }))?;
        for url in list.iter().filter_map(|it| it["whep"].as_str()) {
            let order = json!({"do": "join", "url": url, "viewers": 1, "at_once": 1, "sample": 1});
            let joined = rig.readers.ask(&order)?;
            if joined["connected"] != 1 {
                return Err(io::Error::other(format!("a viewer did not join: {joined}")));
            }
        }
        rig.wait_for_media()?;
        Ok(rig)
    }

    /// Where everything stands.
    pub fn now(&mut self) -> io::Result<Moment> {
        let number = |answer: &Value, name: &str| answer[name].as_u64().unwrap_or_default();
        Ok(Moment {
            sent: number(&self.publishers.ask(&json!({"do": "sent"}))?, "sent"),
            received: self.received()?,
            cpu_us: number(&self.server.ask(&json!({"do": "stat"}))?, "cpu_us"),
        })
    }

    /// From a packet's sending to the socket of its reader, of the packets since the last call: `count`, `p50_us`, `p99_us`,
    /// `max_us`.
    pub fn latencies(&mut self) -> io::Result<Value> {
        self.readers.ask(&json!({"do": "latencies"}))
    }

    /// The publishers fall silent.
    pub fn stop(&mut self) -> io::Result<()> {
        self.publishers.ask(&json!({"do": "stop"})).map(drop)
    }

    fn received(&mut self) -> io::Result<u64> {
        let order = if self.direct { "totals" } else { "received" };
        let answer = self.readers.ask(&json!({"do": order}))?;
        Ok(answer["received"].as_u64().unwrap_or_default())
    }

    fn wait_for_media(&mut self) -> io::Result<()> {
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(100));
            if self.received()? > 0 {
                return Ok(());
            }
        }
        Err(io::Error::other("nothing arrived within 10 s"))
    }
}

/// First ports of four that are free now, separated by commas: servers that don't choose their own write to them.
fn free_ports(count: usize) -> io::Result<String> {
    let mut first = Vec::new();
    while first.len() < count {
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port() & !3;
        let free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if port < u16::MAX - 3 && !first.contains(&port) && (port..port + 4).all(free) {
            first.push(port);
        }
    }
    let first: Vec<String> = first.iter().map(u16::to_string).collect();
    Ok(first.join(","))
}
