//! What a browser sees of servers: Chromium on a page of its own, the servers it is pointed at, and FFmpeg behind them.

pub mod driver;
pub mod mediamtx;
pub mod site;
pub mod source;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// A server under test.
#[derive(Debug, Clone)]
pub struct Server {
    /// In the tables.
    pub name: String,
    /// Where to publish the clock, and where to watch it straight through.
    pub whip: String,
    /// See `whip`.
    pub direct: String,
    /// Where to watch FFmpeg's stream.
    pub whep: String,
    /// FFmpeg's arguments for it, behind its input.
    pub output: Vec<String>,
}

/// Waits up to 20 s until something is so.
pub fn wait_for(what: &str, mut so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while !so()? {
        if Instant::now() > until {
            return Err(io::Error::other(format!("not within 20 s: {what}")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A fresh folder; whoever asked removes it.
pub(crate) fn scratch(name: &str) -> io::Result<PathBuf> {
    let folder = format!("corertc-bench-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(folder);
    fs::create_dir_all(&path)?;
    Ok(path)
}
