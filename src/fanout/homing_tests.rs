//! A publisher on two shards: it begins on one, and its packets come to the other.
#![allow(clippy::unwrap_used)]

use std::net::UdpSocket;

use super::shard::Shard;
use super::*;
use crate::events::Events;
use crate::peer::srtp::{Outbound, Profile};
use crate::peer::{ExtensionIds, IntakeSetup};
use crate::rtp::codec::Codec;
use crate::stream::history::Limits;
use crate::stream::{Expectation, StreamKey, TrackExpectation};

const PATIENCE: Duration = Duration::from_secs(20);
/// A VP8 key frame of one packet.
const KEY: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
/// Where it begins, and where its packets come to.
const FIRST: usize = 0;
const HOME: usize = 1;

struct Rig {
    fanout: Fanout,
    point: Arc<IngestPoint>,
    handle: ViewerHandle,
    socket: UdpSocket,
    client: Outbound,
    _events: mpsc::Receiver<ViewerEvent>,
}

fn keys(swapped: bool) -> Keys {
    let of = |byte: u8| (vec![byte; 16], vec![byte; 12]);
    let (ours, theirs) = if swapped { (2, 1) } else { (1, 2) };
    let ((local_key, local_salt), (remote_key, remote_salt)) = (of(ours), of(theirs));
    Keys {
        profile: Profile::AeadAes128Gcm,
        local_key,
        local_salt,
        remote_key,
        remote_salt,
    }
}

impl Rig {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let listen = "127.0.0.1:0".parse().unwrap();
        let idle = Duration::from_secs(60);
        let fanout = Fanout::start(&[listen], 2, true, idle, counters.clone()).unwrap();
        let video = TrackExpectation {
            codec: Codec::Vp8,
            payload_type: 120,
            copied: false,
        };
        let expectation = Expectation {
            video: Some(video),
            audio: None,
            start_time_us: 0,
        };
        let kept = Limits {
            bytes: 0,
            time: Duration::ZERO,
        };
        // An even key: the first shard.
        let (key, events) = (StreamKey(2), Events::default());
        let point = IngestPoint::new("cam", key, expectation, kept, counters, events);
        let (sender, events) = mpsc::channel(16);
        let intake = IntakeSetup {
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: None,
            ingest_payload_type: 120,
            rids: Vec::new(),
            nack: true,
            pli: true,
        };
        let handle = fanout.add_publisher(NewPublisher {
            setup: PublisherSetup {
                credentials: Credentials {
                    ufrag: "ufrag".to_owned(),
                    pwd: "the-password-of-the-server".to_owned(),
                },
                media: [Some(intake), None],
                extensions: ExtensionIds::default(),
                reduced_size: true,
                remb: false,
                ssrc: 99,
                cname: "us".into(),
            },
            point: point.clone(),
            events: sender,
            numbers: Arc::default(),
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(fanout.local_addrs()[0]).unwrap();
        Self {
            fanout,
            point,
            handle,
            socket,
            client: Outbound::new(&keys(true)).unwrap(),
            _events: events,
        }
    }

    /// A datagram came to the socket of `shard`, then DTLS is done.
    fn connect(&self, shard: usize) {
        let path = Path {
            socket: 0,
            local: None,
            remote: self.socket.local_addr().unwrap(),
        };
        let key = self.handle.route.key;
        let datagram = Command::Datagram(key, path, vec![0x80; 20], true, shard);
        assert!(self.fanout.inner.shards[FIRST].forward(datagram));
        self.handle.connect(keys(false), path);
        // Whatever that led to is done.
        self.within(FIRST, |_| ());
        self.within(HOME, |_| ());
    }

    fn within<T: Send + 'static>(
        &self,
        shard: usize,
        work: impl FnOnce(&mut Shard) -> T + Send + 'static,
    ) -> T {
        let (done, waiting) = std::sync::mpsc::channel();
        let work = Box::new(move |shard: &mut Shard| done.send(work(shard)).unwrap());
        let _ = self.fanout.inner.shards[shard]
            .commands
            .send(Command::Test(work));
        waiting.recv_timeout(PATIENCE).unwrap()
    }

    fn lives_on(&self, shard: usize) -> bool {
        let key = self.handle.route.key;
        self.within(shard, move |shard| shard.publishers.has(key))
    }

    fn send(&self, seq: u16) {
        let mut header = vec![0x80, 0x80 | 96];
        header.extend(seq.to_be_bytes());
        header.extend((u32::from(seq) * 3000).to_be_bytes());
        header.extend(7_u32.to_be_bytes());
        let mut packet = Vec::new();
        self.client
            .seal_rtp(&header, &KEY, u64::from(seq), &mut packet);
        self.socket.send(&packet).unwrap();
    }

    fn wait_until_heard(&self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.point.heard().is_none() {
            assert!(std::time::Instant::now() < deadline, "nothing was heard");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn it_moves_to_where_its_packets_come_with_all_that_belongs_to_it() {
    let rig = Rig::new();
    assert!(rig.lives_on(FIRST));
    rig.connect(HOME);
    assert!(rig.lives_on(HOME) && !rig.lives_on(FIRST));
    let route = rig.fanout.inner.demux.by_ufrag("ufrag").unwrap();
    assert_eq!(route.shard, HOME);
    // Whichever socket the kernel chooses.
    rig.send(1);
    rig.wait_until_heard();
    // Its session's words reach it: no address and no ufrag is left of it.
    let removed = rig.handle.remove(Vec::new());
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(removed);
    assert!(!rig.lives_on(HOME));
    assert_eq!(rig.fanout.demux_len(), (0, 0));
    let key = rig.handle.route.key;
    let left = rig.within(FIRST, move |shard| shard.publishers.moved_to(key));
    assert_eq!(left, None);
}

#[test]
fn one_whose_packets_come_where_it_is_stays() {
    let rig = Rig::new();
    rig.connect(FIRST);
    assert!(rig.lives_on(FIRST) && !rig.lives_on(HOME));
    rig.send(1);
    rig.wait_until_heard();
}

#[test]
fn what_was_under_way_while_it_moved_reaches_it() {
    let rig = Rig::new();
    rig.connect(HOME);
    let mut header = vec![0x80, 0x80 | 96];
    header.extend(1_u16.to_be_bytes());
    header.extend(3000_u32.to_be_bytes());
    header.extend(7_u32.to_be_bytes());
    let mut packet = Vec::new();
    rig.client.seal_rtp(&header, &KEY, 1, &mut packet);
    let path = Path {
        socket: 0,
        local: None,
        remote: rig.socket.local_addr().unwrap(),
    };
    let datagram = Command::Datagram(rig.handle.route.key, path, packet, true, HOME);
    assert!(rig.fanout.inner.shards[FIRST].forward(datagram));
    rig.wait_until_heard();
    // Nothing counts as waiting any more.
    for shard in [FIRST, HOME] {
        rig.within(shard, |_| ());
        let waiting = &rig.fanout.inner.shards[shard].forwarded;
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
