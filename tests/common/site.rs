//! A web page of another origin than the subsystem's: a tiny HTTP server that knows one page and its scripts.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>viewer</title><body><script src=viewer.js></script><script src=publisher.js></script>";
const VIEWER: &str = include_str!("viewer.js");
const PUBLISHER: &str = include_str!("publisher.js");

/// The running server. Dropping it ends it.
pub(crate) struct Site {
    port: u16,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(connection) = connection {
                    // A browser opens spare connections that say nothing: each has a thread of its own.
                    std::thread::spawn(move || answer(connection));
                }
            }
        });
        Self {
            port,
            ending,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(connection: TcpStream) {
    let mut lines = BufReader::new(&connection).lines();
    let Some(Ok(request)) = lines.next() else {
        return;
    };
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            break;
        }
    }
    let (status, kind, body) = match request.split(' ').nth(1) {
        Some("/") => ("200 OK", "text/html", PAGE),
        Some("/viewer.js") => ("200 OK", "text/javascript", VIEWER),
        Some("/publisher.js") => ("200 OK", "text/javascript", PUBLISHER),
        _ => ("404 Not Found", "text/plain", ""),
    };
    let _ = write!(
        &connection,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
