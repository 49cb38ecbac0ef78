//! The page of the measurements, on an origin of its own as players are.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

const PAGE: &str =
    "<!doctype html><meta charset=utf-8><title>bench</title><body><script src=page.js></script>";
const SCRIPT: &str = include_str!("page.js");

/// Serves until the process ends; the page's URL.
pub fn serve() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // A browser opens spare connections that say nothing: each has a thread of its own.
            std::thread::spawn(move || answer(&connection));
        }
    });
    Ok(url)
}

fn answer(mut connection: &TcpStream) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, kind, body) = match request.split(' ').nth(1) {
        Some("/") => ("200 OK", "text/html", PAGE),
        Some("/page.js") => ("200 OK", "text/javascript", SCRIPT),
        _ => ("404 Not Found", "text/plain", ""),
    };
    let length = body.len();
    let _ = write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}
