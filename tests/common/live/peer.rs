//! One client on its socket, and what its session does on the server's side.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Instant;

use corertc::fanout::{Fanout, NewViewer, ViewerEvent, ViewerHandle, ViewerNumbers};
use corertc::net::Path;
use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::ice::credentials::Credentials;
use corertc::peer::{RtxSetup, TrackSetup, ViewerSetup};
use corertc::stream::Stream;
use tokio::sync::mpsc;

use crate::rig::client::Client;
use crate::rig::{PWD, VIDEO};

/// Of retransmissions.
pub(crate) const RTX_TYPE: u8 = 103;

pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) socket: UdpSocket,
    /// Where it asks.
    pub(crate) at: SocketAddr,
    pub(crate) ufrag: String,
    /// The client says nothing.
    pub(crate) mute: bool,
    /// From where answers came.
    pub(crate) answered_from: Vec<SocketAddr>,
    server: Connection,
    server_path: Option<Path>,
    server_begun: bool,
    server_connected: bool,
    events: mpsc::Receiver<ViewerEvent>,
    /// But for `Checked` and `Dtls`.
    pub(crate) heard: Vec<ViewerEvent>,
    handle: ViewerHandle,
    removal: Option<Pin<Box<dyn Future<Output = ()>>>>,
    pub(crate) numbers: Arc<Mutex<ViewerNumbers>>,
}

impl Peer {
    pub(crate) fn new(
        fanout: &Fanout,
        identity: &Identity,
        stream: &Arc<Stream>,
        at: SocketAddr,
        number: usize,
        rtx: bool,
    ) -> Self {
        let now = Instant::now();
        // Half of the clients are DTLS servers, as FFmpeg is.
        let (role, server_role) = match number % 2 {
            0 => (Role::Client, Role::Server),
            _ => (Role::Server, Role::Client),
        };
        let theirs = Identity::generate().unwrap();
        let fingerprint = [("sha-256".to_owned(), theirs.fingerprint_sha256().to_vec())];
        let ufrag = format!("ufrag{number}");
        let (sender, events) = mpsc::channel(16);
        let numbers = Arc::default();
        let track = TrackSetup {
            ssrc: 1000 + number as u32,
            rtx: rtx.then_some(RtxSetup {
                ssrc: 2000 + number as u32,
                payload_type: RTX_TYPE,
                first_seq: 0x7fff,
            }),
            ..VIDEO
        };
        let handle = fanout.add(NewViewer {
            setup: ViewerSetup {
                credentials: Credentials {
                    ufrag: ufrag.clone(),
                    pwd: PWD.to_owned(),
                },
                tracks: [Some(track), None],
                cname: "cname".into(),
                transport_cc: None,
            },
            stream: stream.clone(),
            events: sender,
            numbers: Arc::clone(&numbers),
        });
        Self {
            client: Client::new(&theirs, identity, role, &ufrag, PWD, now),
            socket: socket(at),
            at,
            ufrag,
            mute: false,
            answered_from: Vec::new(),
            server: Connection::new(identity, server_role, &fingerprint, now).unwrap(),
            server_path: None,
            server_begun: server_role == Role::Server,
            server_connected: false,
            events,
            heard: Vec::new(),
            handle,
            removal: None,
            numbers,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.is_connected() && self.server_connected
    }

    /// Takes what came, sends what is due.
    pub(crate) fn pump(&mut self) {
        let mut buffer = [0; 9000];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) => {
                    self.answered_from.push(from);
                    self.client.datagram(&buffer[..len], Instant::now());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.client.tick(Instant::now());
        for bytes in std::mem::take(&mut self.client.out) {
            if !self.mute {
                self.send(&bytes);
            }
        }
        while let Ok(event) = self.events.try_recv() {
            match event {
                ViewerEvent::Checked(_) if !self.server_begun => {
                    self.server_begun = true;
                    self.server.handle_timeout(Instant::now());
                }
                ViewerEvent::Checked(_) => {}
                ViewerEvent::Dtls(path, datagram) => {
                    self.server_path = Some(path);
                    self.server.feed(&datagram, Instant::now());
                }
                other => self.heard.push(other),
            }
            self.pump_server();
        }
        let due = |at: Instant| self.server_begun && at <= Instant::now();
        if self.server.next_timeout().is_some_and(due) {
            self.server_path = None;
            self.server.handle_timeout(Instant::now());
            self.pump_server();
        }
    }

    /// A full buffer of a flooded server loses it, as any network may.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send_to(bytes, self.at);
    }

    /// The session ends.
    pub(crate) fn leave(&mut self) {
        self.server.close();
        let mut last_words = Vec::new();
        while let Some(datagram) = self.server.poll_transmit() {
            last_words.push(datagram);
        }
        self.removal = Some(Box::pin(self.handle.remove(last_words)));
    }

    pub(crate) fn is_removed(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let Some(removal) = &mut self.removal else {
            return true;
        };
        if removal.as_mut().poll(&mut context).is_pending() {
            return false;
        }
        self.removal = None;
        true
    }

    /// The client's network changes: another port.
    pub(crate) fn move_away(&mut self) {
        self.socket = socket(self.at);
        let check = self.client.check(&[]);
        self.send(&check);
    }

    fn pump_server(&mut self) {
        while let Some(datagram) = self.server.poll_transmit() {
            self.handle.transmit(self.server_path, datagram);
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Connected(keys) => {
                    self.server_connected = true;
                    self.handle.connect(keys, self.server_path.unwrap());
                }
                Event::Closed(why) => panic!("{why}"),
            }
        }
    }
}

/// On loopback of the family of `at`, with room for a large frame.
fn socket(at: SocketAddr) -> UdpSocket {
    let any = if at.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket2::SockRef::from(&socket)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    socket
}
