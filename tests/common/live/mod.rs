//! Real shards on loopback: a stream fed by hand, and clients over UDP, all driven by the test's own thread.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod peer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corertc::events::Events;
use corertc::fanout::Fanout;
use corertc::peer::dtls::Identity;
use corertc::rtp::codec::Codec;
use corertc::stats::Counters;
use corertc::stream::history::Limits;
use corertc::stream::{Expectation, Ingest, Stream, StreamKey, TrackExpectation};

use peer::Peer;

/// For anything that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PAYLOAD_TYPE: u8 = 96;

/// Shards, and one VP8 stream.
pub(crate) struct Site {
    pub(crate) fanout: Fanout,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: Events,
    pub(crate) identity: Identity,
    pub(crate) stream: Arc<Stream>,
    ingest: Ingest,
    sequence: u16,
    timestamp: u32,
    /// Every payload fed, in order.
    pub(crate) fed: Vec<Vec<u8>>,
    pub(crate) peers: Vec<Peer>,
    /// Clients added from now on know RTX.
    pub(crate) rtx: bool,
}

impl Site {
    pub(crate) fn new(listen: &str, gso: bool) -> Self {
        Self::with_idle_timeout(listen, gso, Duration::from_secs(30))
    }

    pub(crate) fn with_idle_timeout(listen: &str, gso: bool, idle: Duration) -> Self {
        let none = Limits {
            bytes: 0,
            time: Duration::ZERO,
        };
        Self::with(listen, gso, idle, none)
    }

    /// A stream that keeps pictures within these limits for viewers that join.
    pub(crate) fn keeping(bytes: usize, time: Duration) -> Self {
        let idle = Duration::from_secs(30);
        Self::with("127.0.0.1:0", true, idle, Limits { bytes, time })
    }

    fn with(listen: &str, gso: bool, idle: Duration, kept: Limits) -> Self {
        let counters = Arc::new(Counters::default());
        let events = Events::default();
        let listen: SocketAddr = listen.parse().unwrap();
        let fanout = Fanout::start(&[listen], 2, gso, idle, counters.clone()).unwrap();
        let track = TrackExpectation {
            codec: Codec::Vp8,
            payload_type: PAYLOAD_TYPE,
            copied: false,
        };
        let expectation = Expectation {
            video: Some(track),
            audio: None,
            start_time_us: 0,
        };
        let (stream, ingest) = Stream::new(
            "one",
            StreamKey(1),
            expectation,
            kept,
            counters.clone(),
            events.clone(),
        );
        Self {
            fanout,
            counters,
            events,
            identity: Identity::generate().unwrap(),
            stream,
            ingest,
            sequence: 65_000,
            timestamp: 0,
            fed: Vec::new(),
            peers: Vec::new(),
            rtx: false,
        }
    }

    /// Where the shards listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.fanout.local_addrs()[0]
    }

    /// Adds clients and waits until all are connected.
    pub(crate) fn join(&mut self, count: usize) {
        for _ in 0..count {
            self.add(self.address());
        }
        self.until("all connected", |site| {
            site.peers.iter().all(Peer::is_connected)
        });
    }

    /// Adds a client that asks at `at`; the index.
    pub(crate) fn add(&mut self, at: SocketAddr) -> usize {
        let number = self.peers.len();
        let peer = Peer::new(
            &self.fanout,
            &self.identity,
            &self.stream,
            at,
            number,
            self.rtx,
        );
        self.peers.push(peer);
        number
    }

    /// Feeds one frame of packets with payloads of these lengths (12 bytes at least).
    pub(crate) fn feed(&mut self, keyframe: bool, lengths: &[usize]) {
        self.timestamp += 3000;
        for (index, len) in lengths.iter().enumerate() {
            // RFC 7741 §4.2: S bit on the first; RFC 6386 §9.1: P bit, start code, 16 × 16.
            let mut payload = vec![0x10, u8::from(!keyframe), 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0];
            payload[0] = if index == 0 { 0x10 } else { 0 };
            payload.resize(*len, self.fed.len() as u8);
            let marker = index + 1 == lengths.len();
            let mut packet = vec![0x80, PAYLOAD_TYPE | u8::from(marker) << 7];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.timestamp.to_be_bytes());
            packet.extend([0, 0, 0, 1]);
            packet.extend(&payload);
            self.sequence = self.sequence.wrapping_add(1);
            self.fed.push(payload);
            self.ingest.datagram(None, &packet, Instant::now());
        }
    }

    /// Drives every client until `done`.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for peer in &mut self.peers {
                peer.pump();
            }
            if done(self) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {}", self.state());
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Every client has every payload fed from `from` on, in order and nothing else.
    pub(crate) fn assert_all_arrived(&mut self, from: usize) {
        let expected = self.fed.len() - from;
        self.until("every packet", |site| {
            site.peers
                .iter()
                .all(|peer| peer.client.packets.len() >= expected)
        });
        for peer in &self.peers {
            let packets = &peer.client.packets;
            for (number, (packet, fed)) in packets.iter().zip(&self.fed[from..]).enumerate() {
                let seq = packets[0].header.seq.wrapping_add(number as u16);
                assert_eq!(packet.header.seq, seq, "in order");
                assert!(packet.payload == *fed, "payload {number}");
            }
            assert_eq!(packets.len(), expected);
            assert_eq!((peer.client.refused, peer.client.replayed), (0, 0));
        }
    }

    /// Ends every viewer as a session does, and waits for it.
    pub(crate) fn remove_all(&mut self) {
        for peer in &mut self.peers {
            peer.leave();
        }
        self.until("all removed", |site| {
            site.peers.iter_mut().all(Peer::is_removed)
        });
    }

    fn state(&self) -> String {
        let peers = self.peers.iter().map(|peer| {
            let client = &peer.client;
            (
                client.is_connected(),
                client.packets.len(),
                client.rtcp.len(),
            )
        });
        format!("{:?} {:?}", peers.collect::<Vec<_>>(), self.counters.all())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.fanout.shutdown();
    }
}
