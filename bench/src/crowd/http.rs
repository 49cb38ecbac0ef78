//! As much HTTP/1.1 as a WHEP client needs: one request per connection, blocking.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server said.
pub struct Response {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body, which for WHEP is text.
    pub body: String,
}

impl Response {
    /// A header's value; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// `http://host:port/path` taken apart.
#[derive(Debug, Clone)]
pub struct Url {
    /// `host:port`.
    pub authority: String,
    /// Path and query, with the slash.
    pub path: String,
}

impl Url {
    /// Plain HTTP only.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let port = if authority.contains(':') { "" } else { ":80" };
        Some(Self {
            authority: format!("{authority}{port}"),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        })
    }

    /// What a `Location` header means when this URL gave it.
    #[must_use]
    pub fn join(&self, location: &str) -> Self {
        if let Some(absolute) = Self::parse(location) {
            return absolute;
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let folder = self.path.rfind('/').map_or("", |at| &self.path[..at]);
            format!("{folder}/{location}")
        };
        Self {
            authority: self.authority.clone(),
            path,
        }
    }
}

/// Connects, with a deadline on everything that follows.
pub fn connect(url: &Url) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(&url.authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request and its answer; the connection ends with it. `headers` are whole lines.
pub fn exchange(
    mut stream: TcpStream,
    method: &str,
    url: &Url,
    headers: &str,
    body: &str,
) -> io::Result<Response> {
    let Url { authority, path } = url;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::with_capacity(8192);
    let mut chunk = [0; 8192];
    loop {
        if let Some(response) = complete(&answer) {
            return Ok(response);
        }
        match stream.read(&mut chunk)? {
            0 => break,
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let (head, body) = split(&answer).ok_or_else(malformed)?;
    parse(head, body).ok_or_else(malformed)
}

/// The answer, where its Content-Length is there already.
fn complete(answer: &[u8]) -> Option<Response> {
    let (head, body) = split(answer)?;
    let mut response = parse(head, body)?;
    let length = match response.header("content-length") {
        Some(text) => text.parse().ok()?,
        None if response.status == 204 => 0,
        None => return None,
    };
    (body.len() >= length).then(|| {
        response.body.truncate(length);
        response
    })
}

fn split(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((&answer[..end], &answer[end + 4..]))
}

fn parse(head: &[u8], body: &[u8]) -> Option<Response> {
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response {
        status,
        head,
        body: String::from_utf8_lossy(body).into_owned(),
    })
}
