//! A viewer on a thread of its own, all the way: POST, checks, DTLS, SRTP; it notes how long media paused.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corertc::peer::dtls::{Identity, Role};
use corertc::subsystem::Subsystem;

use crate::rig::client::Client;
use crate::whep_rig::checks::{Ice, ice};
use crate::whep_rig::{header, post, send};

const OFFER: &str = include_str!("../../src/sdp/testdata/firefox.sdp");
/// VP8 of that offer, and its retransmissions.
const VIDEO_TYPE: u8 = 120;
const RTX_TYPE: u8 = 124;

/// When something came, and the longest time that nothing did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beat {
    pub(crate) count: u64,
    last: Option<Instant>,
    longest: Duration,
}

impl Beat {
    pub(crate) fn note(&mut self, now: Instant) {
        self.longest = self.longest_until(now);
        self.count += 1;
        self.last = Some(now);
    }

    /// The pause that goes on included.
    pub(crate) fn longest_until(&self, now: Instant) -> Duration {
        let pause = self.last.map_or(Duration::ZERO, |last| now - last);
        self.longest.max(pause)
    }

    pub(crate) fn begin_anew(&mut self) {
        *self = Self {
            last: Some(Instant::now()),
            ..Self::default()
        };
    }
}

/// What a viewer has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) video: Beat,
    pub(crate) again: u64,
    pub(crate) ssrc: u32,
    pub(crate) last_seq: u16,
    pub(crate) refused: u64,
    pub(crate) connected: bool,
    pub(crate) closed: Option<String>,
}

pub(crate) struct Watcher {
    /// The server's ICE credentials and address.
    pub(crate) ice: Ice,
    /// The session's URL.
    pub(crate) url: String,
    pub(crate) local: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    say: Sender<Vec<u8>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Plays `path`; returns once media flows.
    pub(crate) fn play(subsystem: &Subsystem, path: &str) -> Self {
        let identity = Identity::generate().unwrap();
        let hex: Vec<_> = identity
            .fingerprint_sha256()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let fingerprint = |line: &str| match line.starts_with("a=fingerprint:") {
            true => format!("a=fingerprint:sha-256 {}\r\n", hex.join(":")),
            false => format!("{line}\r\n"),
        };
        let offer: String = OFFER.lines().map(fingerprint).collect();
        let deadline = Instant::now() + crate::PATIENCE;
        let response = loop {
            let request = post(path).body(Bytes::from(offer.clone())).unwrap();
            let response = send(subsystem, request);
            if response.status() == 201 {
                break response;
            }
            assert!(Instant::now() < deadline, "{response:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        let ice = ice(response.body());
        let answer = std::str::from_utf8(response.body()).unwrap();
        let theirs = answer
            .lines()
            .find_map(|line| line.strip_prefix("a=fingerprint:sha-256 "));
        let theirs: Vec<u8> = theirs
            .unwrap()
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let client = Client::to(
            &identity,
            theirs,
            Role::Client,
            &ice.ufrag,
            &ice.pwd,
            Instant::now(),
        );
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(ice.candidates[0]).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let local = socket.local_addr().unwrap();
        let (seen, stop) = (
            Arc::new(Mutex::new(Seen::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let (say, said) = channel();
        let run = Run {
            client,
            socket,
            said,
            seen: seen.clone(),
            stop: stop.clone(),
        };
        let watcher = Self {
            url: header(&response, "location").to_owned(),
            ice,
            local,
            seen,
            say,
            stop,
            thread: Some(std::thread::spawn(move || run.run())),
        };
        while watcher.seen().video.count < 5 {
            assert!(Instant::now() < deadline, "no media: {:?}", watcher.seen());
            std::thread::sleep(Duration::from_millis(5));
        }
        watcher
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn begin_anew(&self) {
        self.seen.lock().unwrap().video.begin_anew();
    }

    /// Says this in RTCP.
    pub(crate) fn say(&self, plain: Vec<u8>) {
        self.say.send(plain).unwrap();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

struct Run {
    client: Client,
    socket: UdpSocket,
    said: Receiver<Vec<u8>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Run {
    fn run(mut self) {
        let mut buffer = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(len) = self.socket.recv(&mut buffer) {
                self.client.datagram(&buffer[..len], Instant::now());
            }
            self.client.tick(Instant::now());
            while let Some(plain) = self
                .said
                .try_recv()
                .ok()
                .filter(|_| self.client.is_connected())
            {
                let sealed = self.client.seal(&plain);
                self.client.out.push(sealed);
            }
            for datagram in self.client.out.drain(..) {
                // A full buffer loses it, as any network may.
                let _ = self.socket.send(&datagram);
            }
            self.note(Instant::now());
        }
    }

    fn note(&mut self, now: Instant) {
        let mut seen = self.seen.lock().unwrap();
        for packet in self.client.packets.drain(..) {
            match packet.header.payload_type {
                VIDEO_TYPE => {
                    seen.video.note(now);
                    (seen.ssrc, seen.last_seq) = (packet.header.ssrc, packet.header.seq);
                }
                RTX_TYPE => seen.again += 1,
                _ => {}
            }
        }
        self.client.answers.clear();
        self.client.rtcp.clear();
        seen.refused = self.client.refused;
        seen.connected = self.client.is_connected();
        seen.closed.clone_from(&self.client.closed);
    }
}
