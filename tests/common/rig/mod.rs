//! Our viewer and its DTLS on one side, a lean client on the other, a lossy wire between them, and a virtual clock.
//!
//! The rig does for the viewer what shard and session do: it sends, feeds DTLS, connects, seals frames.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod client;
pub(crate) mod stun;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corertc::net::Path;
use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::ice::credentials::Credentials;
use corertc::peer::{Notice, Outbox, StreamPacket, TrackSetup, Viewer, ViewerSetup, room_for};
use corertc::rtp::Media;
use corertc::rtp::codec::Codec;
use corertc::rtp::rtcp::{self, Item};
use corertc::stats::Counters;

use client::Client;
use wire::{Weather, Wire};

pub(crate) const UFRAG: &str = "SERVERuf";
pub(crate) const PWD: &str = "the-password-of-the-server";
pub(crate) const VIDEO: TrackSetup = TrackSetup {
    ssrc: 0x1111_1111,
    codec: Codec::Vp8,
    rtx: None,
    payload_type: 102,
    first_seq: 0x7ffe,
    timestamp_offset: 0xffff_0000,
};
pub(crate) const AUDIO: TrackSetup = TrackSetup {
    ssrc: 0x2222_2222,
    codec: Codec::Opus,
    rtx: None,
    payload_type: 111,
    first_seq: 5,
    timestamp_offset: 0x1234_5678,
};
/// Virtual time that any hand-shake has.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) wire: Wire,
    pub(crate) viewer: Viewer,
    pub(crate) out: Outbox,
    server: Connection,
    server_begun: bool,
    /// Where the server's DTLS answers to, and whether it is done.
    server_path: Option<Path>,
    pub(crate) server_closed: Option<String>,
    pub(crate) client: Client,
    /// Where the client is.
    pub(crate) at: Path,
    /// Everything it has sent, for whoever listens.
    pub(crate) overheard: Vec<Vec<u8>>,
    pub(crate) counters: Arc<Counters>,
    /// But for `Checked` and `Dtls`.
    pub(crate) notices: Vec<Notice>,
    /// Bytes the viewer sent, by address.
    pub(crate) sent_to: BTreeMap<SocketAddr, u64>,
}

/// A frame to send.
pub(crate) struct Frame<'a> {
    pub(crate) media: Media,
    pub(crate) first_seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) keyframe: bool,
    pub(crate) payloads: &'a [&'a [u8]],
}

pub(crate) fn path(remote: &str) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: remote.parse().unwrap(),
    }
}

impl Rig {
    pub(crate) fn new(client_role: Role, weather: Weather, seed: u64) -> Self {
        Self::with(client_role, weather, seed, [Some(VIDEO), Some(AUDIO)])
    }

    pub(crate) fn with(
        client_role: Role,
        weather: Weather,
        seed: u64,
        tracks: [Option<TrackSetup>; 2],
    ) -> Self {
        let now = Instant::now();
        let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let fingerprint = [("sha-256".to_owned(), theirs.fingerprint_sha256().to_vec())];
        let server_role = match client_role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let counters = Arc::new(Counters::default());
        let setup = ViewerSetup {
            credentials: Credentials {
                ufrag: UFRAG.to_owned(),
                pwd: PWD.to_owned(),
            },
            tracks,
            cname: "cname".into(),
            transport_cc: None,
        };
        Self {
            now,
            start: now,
            wire: Wire::new(weather, seed),
            viewer: Viewer::new(setup, true, counters.clone(), now),
            out: Outbox::default(),
            server: Connection::new(&ours, server_role, &fingerprint, now).unwrap(),
            server_begun: server_role == Role::Server,
            server_path: None,
            server_closed: None,
            client: Client::new(&theirs, &ours, client_role, UFRAG, PWD, now),
            at: path("192.0.2.1:4000"),
            overheard: Vec::new(),
            counters,
            notices: Vec::new(),
            sent_to: BTreeMap::new(),
        }
    }

    /// A pair that is connected over a fair network.
    pub(crate) fn connected() -> Self {
        let mut rig = Self::new(Role::Client, Weather::FAIR, 1);
        rig.connect();
        rig
    }

    pub(crate) fn connect(&mut self) {
        self.run_until("connected", LONG, |rig| {
            rig.client.is_connected() && rig.viewer.media_path().is_some()
        });
    }

    pub(crate) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000) + (self.now - self.start)
    }

    /// A datagram arrives at the viewer now, whoever sent it.
    pub(crate) fn arrive(&mut self, path: Path, bytes: &[u8]) {
        let wall = self.wall();
        self.viewer
            .datagram(path, bytes, true, self.now, wall, &mut self.out);
        self.work_off();
    }

    /// The client says this in RTCP now, from where it is.
    pub(crate) fn say(&mut self, plain: &[u8]) -> Vec<u8> {
        let sealed = self.client.seal(plain);
        self.arrive(self.at, &sealed);
        sealed
    }

    /// Sends a frame as a shard does; false where the viewer doesn't take it.
    pub(crate) fn send(&mut self, frame: &Frame<'_>) -> bool {
        let media = frame.media;
        let codec = if media == Media::Video {
            VIDEO.codec
        } else {
            AUDIO.codec
        };
        let packets = frame.payloads.len();
        if !self
            .viewer
            .begin(media, codec, frame.first_seq, packets, frame.keyframe)
        {
            return false;
        }
        let Some(path) = self.viewer.media_path().copied() else {
            return false;
        };
        let mut octets = 0;
        for (seq, payload) in (frame.first_seq..).zip(frame.payloads) {
            let packet = StreamPacket {
                media,
                seq,
                timestamp: frame.timestamp,
                marker: seq + 1 == frame.first_seq + frame.payloads.len() as u64,
                payload,
            };
            let mut sealed = vec![0; room_for(payload.len())];
            let len = self.viewer.seal(&packet, &mut sealed);
            sealed.truncate(len);
            octets += payload.len();
            self.transmit(path, sealed);
        }
        self.viewer
            .count(media, frame.payloads.len() as u32, octets as u32);
        true
    }

    /// Sends sender reports; `origin` is the wall time of the stream's timestamp zero.
    pub(crate) fn report(&mut self, origin: SystemTime) {
        let wall = self.wall();
        let passed = wall.duration_since(origin).unwrap().as_nanos();
        let rate = |media| match media {
            Media::Video => 90_000,
            Media::Audio => 48_000,
        };
        let timestamp = |media| Some((passed * rate(media) / 1_000_000_000) as u32);
        self.viewer.reports(wall, timestamp, &mut self.out);
        self.work_off();
    }

    /// Lets virtual time pass until `done`; panics where that takes longer than `within`.
    pub(crate) fn run_until(
        &mut self,
        what: &str,
        within: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) {
        let deadline = self.now + within;
        self.flush();
        while !done(self) {
            assert!(self.step(deadline), "not within {within:?}: {what}");
        }
    }

    /// Lets virtual time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let deadline = self.now + time;
        self.flush();
        while self.step(deadline) {}
        self.now = deadline;
        self.viewer.follow(self.now);
    }

    /// What happens next; false where that is after `deadline`.
    fn step(&mut self, deadline: Instant) -> bool {
        let server = self.server.next_timeout().filter(|_| self.server_begun);
        let client = Some(self.client.next_timeout());
        let next = [self.wire.next(), client, server];
        let Some(next) = next.into_iter().flatten().min().filter(|n| *n <= deadline) else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(parcel) = self.wire.take(self.now) {
            if parcel.to_server {
                self.arrive(parcel.path, &parcel.bytes);
            } else if parcel.path == self.at {
                self.client.datagram(&parcel.bytes, self.now);
            }
        }
        self.client.tick(self.now);
        if server.is_some_and(|at| at <= self.now) {
            self.server_path = None;
            self.server.handle_timeout(self.now);
            self.pump();
        }
        self.flush();
        true
    }

    fn flush(&mut self) {
        for bytes in std::mem::take(&mut self.client.out) {
            self.overheard.push(bytes.clone());
            self.wire.send(true, self.at, bytes, self.now);
        }
    }

    fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        *self.sent_to.entry(path.remote).or_default() += bytes.len() as u64;
        self.wire.send(false, path, bytes, self.now);
    }

    /// What shard and session do with what the viewer leaves.
    pub(crate) fn work_off(&mut self) {
        for (path, bytes) in std::mem::take(&mut self.out.send) {
            self.transmit(path, bytes);
        }
        for notice in std::mem::take(&mut self.out.notices) {
            match notice {
                Notice::Checked(_) if !self.server_begun => {
                    self.server_begun = true;
                    self.server.handle_timeout(self.now);
                }
                Notice::Checked(_) => {}
                Notice::Dtls(path, datagram) => {
                    self.server_path = Some(path);
                    self.server.feed(&datagram, self.now);
                }
                other => self.notices.push(other),
            }
            self.pump();
        }
    }

    fn pump(&mut self) {
        while let Some(datagram) = self.server.poll_transmit() {
            self.viewer
                .transmit(self.server_path, datagram, &mut self.out);
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Connected(keys) => {
                    let path = self.server_path.unwrap();
                    self.viewer
                        .connect(&keys, path, self.now, &mut self.out)
                        .unwrap();
                }
                Event::Closed(why) => self.server_closed = Some(why),
            }
        }
        for (path, bytes) in std::mem::take(&mut self.out.send) {
            self.transmit(path, bytes);
        }
    }

    /// Sender reports the client has: (SSRC, NTP, RTP, packets, octets).
    pub(crate) fn sender_reports(&self) -> Vec<rtcp::SenderReport> {
        let items = self
            .client
            .rtcp
            .iter()
            .flat_map(|packet| rtcp::parse(packet));
        let reports = items.filter_map(|item| match item.unwrap() {
            Item::SenderReport(report) => Some(report),
            _ => None,
        });
        reports.collect()
    }
}
