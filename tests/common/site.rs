//! A web page of another origin than the subsystem's: a tiny HTTP server that knows one page and its scripts.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::netns::Namespace;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>viewer</title><body><script src=viewer.js></script><script src=publisher.js></script>";
const VIEWER: &str = include_str!("viewer.js");
const PUBLISHER: &str = include_str!("publisher.js");

/// The running server. Dropping it ends it.
pub(crate) struct Site {
    port: u16,
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let accepting = Arc::clone(&listener);
        let thread = std::thread::spawn(move || {
            // A browser opens spare connections that say nothing: each has a thread of its own.
            while let Ok((connection, _)) = accepting.accept() {
                std::thread::spawn(move || answer(connection));
            }
        });
        Self {
            port,
            listener,
            thread: Some(thread),
        }
    }

    /// On the loopback of another namespace, which makes it a secure context for browsers there.
    pub(crate) fn start_in(namespace: &Namespace) -> Self {
        namespace.enter(Self::start)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Linux wakes the thread that accepts.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both);
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
