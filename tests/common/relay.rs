//! A bad network between clients and the server: a UDP relay that loses media on the way down, is narrow, or holds up
//! what goes up.
//!
//! The server listens on 127.0.0.1 and announces another address, 127.0.0.2 unless the test says otherwise; the relay
//! listens there, on the same port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use corertc::config::Settings;

use super::host::Host;
use super::jitter::Jitter;

/// How often a thread looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);
/// What a narrow link takes beyond its rate before it loses: 16 packets.
const BURST: f64 = 19_200.0;

/// The running relay. Dropping it ends it.
pub(crate) struct Relay {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ending: AtomicBool,
    /// Of 1000 media packets, how many are lost.
    loss: AtomicU32,
    /// This payload type is lost whatever the loss is; 0 for none.
    payload_type: AtomicU32,
    lost: AtomicU64,
    /// Viewers' addresses so far.
    ways: AtomicUsize,
    /// The first of these have a narrow link, of so many bit/s.
    narrow: (AtomicUsize, AtomicU64),
    /// What goes up waits up to so many milliseconds.
    jitter_ms: AtomicU64,
}

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl Relay {
    /// What a host's settings need for a relay in front of it.
    pub(crate) fn announce(settings: &mut Settings) {
        Self::announce_at(ADDRESS, settings);
    }

    /// The same for a relay at this address.
    pub(crate) fn announce_at(address: IpAddr, settings: &mut Settings) {
        settings.udp_listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.announce = vec![address];
    }

    /// In front of a host with such settings.
    pub(crate) fn before(host: &Host) -> Self {
        Self::at(ADDRESS, host)
    }

    /// The same at this address.
    pub(crate) fn at(address: IpAddr, host: &Host) -> Self {
        let server: SocketAddr = host.stats()["udp"][0].as_str().unwrap().parse().unwrap();
        let listener = UdpSocket::bind((address, server.port())).unwrap();
        let state = Arc::new(State::default());
        let thread = {
            let state = Arc::clone(&state);
            std::thread::spawn(move || relay(&Arc::new(listener), server, &state))
        };
        Self {
            state,
            thread: Some(thread),
        }
    }

    /// From now on so many of 1000 media packets to viewers are lost, retransmissions like all others.
    pub(crate) fn lose(&self, per_mille: u32) {
        self.state.loss.store(per_mille, Ordering::Relaxed);
    }

    /// From now on all packets of this payload type are lost.
    pub(crate) fn lose_type(&self, payload_type: u8) {
        self.state
            .payload_type
            .store(payload_type.into(), Ordering::Relaxed);
    }

    /// From now on the links of all who are here carry so much; links of who comes later are wide.
    pub(crate) fn narrow(&self, bps: u64) {
        let ways = self.state.ways.load(Ordering::Relaxed);
        self.state.narrow.1.store(bps, Ordering::Relaxed);
        self.state.narrow.0.store(ways, Ordering::Relaxed);
    }

    /// From now on each packet to the server waits up to so long, and may be overtaken.
    pub(crate) fn jitter(&self, most: Duration) {
        let ms = most.as_millis() as u64;
        self.state.jitter_ms.store(ms, Ordering::Relaxed);
    }

    /// Packets lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn relay(listener: &Arc<UdpSocket>, server: SocketAddr, state: &Arc<State>) {
    let mut ways: Vec<(SocketAddr, Arc<UdpSocket>, JoinHandle<()>)> = Vec::new();
    let mut bytes = [0; 2048];
    let mut jitter = Jitter::new();
    listener.set_read_timeout(Some(LOOK)).unwrap();
    while !state.ending.load(Ordering::Relaxed) {
        let Ok((len, viewer)) = listener.recv_from(&mut bytes) else {
            continue;
        };
        if !ways.iter().any(|(known, _, _)| *known == viewer) {
            let upstream = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            upstream.connect(server).unwrap();
            upstream.set_read_timeout(Some(LOOK)).unwrap();
            let (listener, state) = (Arc::clone(listener), Arc::clone(state));
            let way = Arc::clone(&upstream);
            let number = state.ways.fetch_add(1, Ordering::Relaxed);
            let thread =
                std::thread::spawn(move || down(&way, &listener, (number, viewer), &state));
            ways.push((viewer, upstream, thread));
        }
        if let Some((_, upstream, _)) = ways.iter().find(|(known, _, _)| *known == viewer) {
            match state.jitter_ms.load(Ordering::Relaxed) {
                0 => drop(upstream.send(&bytes[..len])),
                ms => jitter.send(upstream, &bytes[..len], Duration::from_millis(ms)),
            }
        }
    }
    for (_, _, thread) in ways {
        let _ = thread.join();
    }
}

fn down(
    upstream: &UdpSocket,
    listener: &UdpSocket,
    (number, viewer): (usize, SocketAddr),
    state: &State,
) {
    let mut bytes = [0; 2048];
    // A fixed seed: no run is unluckier than another.
    let mut random = 12_345_u64;
    let (mut queued, mut at) = (0.0, Instant::now());
    while !state.ending.load(Ordering::Relaxed) {
        let Ok(len) = upstream.recv(&mut bytes) else {
            continue;
        };
        // RFC 7983: RTP and RTCP begin with 128–191, and RTCP's second byte is 192–223 (RFC 5761).
        let media = (128..192).contains(&bytes[0]) && !(192..224).contains(&bytes[1]);
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let unlucky = (random >> 33) % 1000 < u64::from(state.loss.load(Ordering::Relaxed));
        let payload_type = state.payload_type.load(Ordering::Relaxed);
        let unwanted = payload_type != 0 && u32::from(bytes[1] & 0x7f) == payload_type;
        if media && (unlucky || unwanted) {
            state.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if number < state.narrow.0.load(Ordering::Relaxed) {
            let passed = at.elapsed().as_secs_f64();
            at = Instant::now();
            let bps = state.narrow.1.load(Ordering::Relaxed) as f64;
            queued = f64::max(queued - passed * bps / 8.0, 0.0);
            if queued + len as f64 > BURST {
                state.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            queued += len as f64;
        }
        let _ = listener.send_to(&bytes[..len], viewer);
    }
}
