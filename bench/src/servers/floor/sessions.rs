//! The floor's sessions: as much HTTP, SDP, ICE and DTLS as it takes for a viewer to be sent media.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::Instant;

use aws_lc_rs::hmac;
use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::ice::stun::BindingRequest;

use super::send::Sender;
use crate::crowd::{random, stun};

/// What the door asks of the loop.
pub enum Order {
    /// A viewer will come.
    Add(Box<Session>),
    /// It left.
    Remove(u64),
}

/// A viewer from its POST to its DELETE.
pub struct Session {
    id: u64,
    ufrag: String,
    key: hmac::Key,
    payload_type: u8,
    dtls: Connection,
    /// Where its last check came from.
    at: Option<SocketAddr>,
}

/// All of them.
pub struct Sessions {
    address: SocketAddr,
    identity: Identity,
    by_ufrag: HashMap<String, Session>,
    by_address: HashMap<SocketAddr, String>,
}

/// The side that listens for HTTP.
pub struct Door {
    address: SocketAddr,
    identity: Identity,
    orders: mpsc::Sender<Order>,
}

impl Sessions {
    /// None yet; media goes out at `address`.
    pub fn new(address: SocketAddr) -> Result<Self, String> {
        Ok(Self {
            address,
            identity: Identity::generate().map_err(|error| error.to_string())?,
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
        })
    }

    /// Its HTTP side.
    pub fn door(&self, orders: mpsc::Sender<Order>) -> Door {
        Door {
            address: self.address,
            identity: self.identity.clone(),
            orders,
        }
    }

    /// Does what the door asks.
    pub fn obey(&mut self, order: Order, sender: &mut Sender) {
        match order {
            Order::Add(session) => {
                self.by_ufrag.insert(session.ufrag.clone(), *session);
            }
            Order::Remove(id) => {
                sender.remove(id);
                self.by_ufrag.retain(|_, session| session.id != id);
                self.by_address
                    .retain(|_, ufrag| self.by_ufrag.contains_key(ufrag));
            }
        }
    }

    /// A check: answered, and where it came from is where media goes.
    pub fn stun(&mut self, socket: &UdpSocket, from: SocketAddr, datagram: &[u8]) {
        let Ok(request) = BindingRequest::parse(datagram) else {
            return;
        };
        let Some(session) = self.by_ufrag.get_mut(request.local_ufrag) else {
            return;
        };
        if let Some(stun::Message::Request(id)) = stun::parse(datagram) {
            let _ = socket.send_to(&stun::response(id, from, &session.key), from);
        }
        if session.at != Some(from) {
            session.at = Some(from);
            self.by_address.insert(from, session.ufrag.clone());
        }
    }

    /// A step of a hand-shake; after the last one the viewer is sent media.
    pub fn dtls(
        &mut self,
        socket: &UdpSocket,
        from: SocketAddr,
        datagram: &[u8],
        sender: &mut Sender,
    ) {
        let ufrag = self.by_address.get(&from);
        let Some(session) = ufrag.and_then(|ufrag| self.by_ufrag.get_mut(ufrag)) else {
            return;
        };
        session.dtls.feed(datagram, Instant::now());
        session.flush(socket);
        while let Some(event) = session.dtls.poll_event() {
            match (event, from) {
                (Event::Connected(keys), SocketAddr::V4(to)) => {
                    let ssrc = session.id as u32;
                    if !sender.add(session.id, to, &keys, ssrc, session.payload_type) {
                        eprintln!("floor: a viewer without AES-128-GCM");
                    }
                }
                _ => sender.remove(session.id),
            }
        }
    }

    /// Sends again what hand-shakes lost.
    pub fn tick(&mut self, socket: &UdpSocket) {
        let now = Instant::now();
        for session in self.by_ufrag.values_mut() {
            if session.dtls.next_timeout().is_some_and(|due| due <= now) {
                session.dtls.handle_timeout(now);
                session.flush(socket);
            }
        }
    }
}

impl Session {
    fn flush(&mut self, socket: &UdpSocket) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            if let Some(at) = self.at {
                let _ = socket.send_to(&datagram, at);
            }
        }
    }
}

impl Door {
    /// Answers requests, one connection each, until the process ends.
    pub fn open(&self, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if let Err(error) = self.request(stream) {
                eprintln!("floor: {error}");
            }
        }
    }

    fn request(&self, mut stream: TcpStream) -> io::Result<()> {
        let (head, body) = read(&mut stream)?;
        let mut words = head.split(' ');
        let answer = match (words.next(), words.next()) {
            (Some("POST"), _) => {
                let malformed = || io::Error::new(io::ErrorKind::InvalidData, "unusable offer");
                let (id, sdp) = self.join(&body).ok_or_else(malformed)?;
                let length = sdp.len();
                format!(
                    "HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /session/{id}\r\n\
                     Content-Length: {length}\r\nConnection: close\r\n\r\n{sdp}"
                )
            }
            (Some("DELETE"), Some(path)) => {
                let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
                if let Some(id) = id {
                    let _ = self.orders.send(Order::Remove(id));
                }
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
            }
            _ => {
                "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    .to_owned()
            }
        };
        stream.write_all(answer.as_bytes())
    }

    fn join(&self, offer: &str) -> Option<(u64, String)> {
        let value = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name));
        let payload_type = offer.lines().find_map(|line| {
            let line = line.strip_prefix("a=rtpmap:")?;
            line.strip_suffix(" H264/90000")?.parse().ok()
        })?;
        let theirs = value("a=fingerprint:sha-256 ")?;
        let theirs: Option<Vec<u8>> = theirs
            .trim_end()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        let fingerprints = [("sha-256".to_owned(), theirs?)];
        let now = Instant::now();
        let dtls = Connection::new(&self.identity, Role::Server, &fingerprints, now).ok()?;
        let id = u64::from(u32::from_be_bytes(random()));
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let (ufrag, password) = (hex(&random::<4>()), hex(&random::<16>()));
        let ours = self.identity.fingerprint_sha256();
        let ours: Vec<String> = ours.iter().map(|byte| format!("{byte:02X}")).collect();
        let (ip, port, ours) = (self.address.ip(), self.address.port(), ours.join(":"));
        let ssrc = id as u32;
        let sdp = format!(
            "v=0\r\no=- {id} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\n\
             m=video {port} UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 {ip}\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n\
             a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 {ours}\r\na=setup:passive\r\n\
             a=rtpmap:{payload_type} H264/90000\r\na=ssrc:{ssrc} cname:floor\r\n\
             a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n\
             m=audio 0 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n"
        );
        let session = Session {
            id,
            ufrag,
            key: stun::key(&password),
            payload_type,
            dtls,
            at: None,
        };
        self.orders.send(Order::Add(Box::new(session))).ok()?;
        Some((id, sdp))
    }
}

fn read(stream: &mut TcpStream) -> io::Result<(String, String)> {
    let mut request = Vec::with_capacity(8192);
    let mut chunk = [0; 8192];
    loop {
        let count = stream.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}
