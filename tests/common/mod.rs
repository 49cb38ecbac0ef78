//! Support of the behaviour tests: a host, FFmpeg, a browser, a web page of another origin, and waiting with a deadline.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

pub(crate) mod browser;
pub(crate) mod ffmpeg;
pub(crate) mod forward;
pub(crate) mod host;
pub(crate) mod jitter;
pub(crate) mod kept;
pub(crate) mod namespace;
pub(crate) mod netns;
pub(crate) mod products;
pub(crate) mod publish;
pub(crate) mod relay;
pub(crate) mod replay;
pub(crate) mod site;
pub(crate) mod windows;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time a slow machine may take for what a fast one does in one or two seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is Ok; panics with the last Err once `within` is over.
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Err(last) => panic!("not within {within:?}: {what}; at last: {last}"),
        }
    }
}

/// Holds the tests of one binary apart: a browser and an encoder each fill the machine.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory of the test's own, gone when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!(
            "corertc-{name}-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
