//! A panic in a shard costs what it was about, and nothing else.
#![allow(clippy::unwrap_used)]

use std::net::UdpSocket;
use std::time::Instant;

use super::shard::Shard;
use super::*;
use crate::events::Events;
use crate::peer::TrackSetup;
use crate::peer::srtp::Profile;
use crate::rtp::Media;
use crate::rtp::codec::Codec;
use crate::stream::history::Limits;
use crate::stream::{Expectation, FrameBatch, PacketSpan, Sink, StreamKey, TrackExpectation};

/// A datagram that makes a shard panic, in tests alone.
pub(super) const POISON: &[u8] = b"\x07 panic";
const PATIENCE: Duration = Duration::from_secs(20);

struct One {
    handle: ViewerHandle,
    events: mpsc::Receiver<ViewerEvent>,
    socket: UdpSocket,
}

struct Site {
    fanout: Fanout,
    counters: Arc<Counters>,
    stream: Arc<Stream>,
    next_seq: u64,
}

impl Site {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let listen = "127.0.0.1:0".parse().unwrap();
        let idle = Duration::from_secs(60);
        let fanout = Fanout::start(&[listen], 1, true, idle, counters.clone()).unwrap();
        let video = TrackExpectation {
            codec: Codec::Vp8,
            payload_type: 96,
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
        let (key, events) = (StreamKey(1), Events::default());
        let (stream, _) = Stream::new("one", key, expectation, kept, counters.clone(), events);
        Self {
            fanout,
            counters,
            stream,
            next_seq: 100,
        }
    }

    /// A viewer that is connected.
    fn join(&self, ssrc: u32) -> One {
        let (sender, events) = mpsc::channel(16);
        let track = TrackSetup {
            ssrc,
            codec: Codec::Vp8,
            rtx: None,
            payload_type: 102,
            first_seq: 0,
            timestamp_offset: 0,
        };
        let handle = self.fanout.add(NewViewer {
            setup: ViewerSetup {
                credentials: Credentials {
                    ufrag: format!("ufrag{ssrc}"),
                    pwd: "the-password-of-the-server".to_owned(),
                },
                tracks: [Some(track), None],
                cname: "cname".into(),
                transport_cc: None,
            },
            stream: self.stream.clone(),
            events: sender,
            numbers: Arc::default(),
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let keys = Keys {
            profile: Profile::AeadAes128Gcm,
            local_key: vec![1; 16],
            local_salt: vec![2; 12],
            remote_key: vec![3; 16],
            remote_salt: vec![4; 12],
        };
        let path = Path {
            socket: 0,
            local: None,
            remote: socket.local_addr().unwrap(),
        };
        handle.connect(keys, path);
        One {
            handle,
            events,
            socket,
        }
    }

    /// Does something within the shard; waits for it.
    fn within(&self, work: impl FnOnce(&mut Shard) + Send + 'static) {
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let work = Box::new(move |shard: &mut Shard| {
            let _dropped_when_over = done;
            work(shard);
        });
        let _ = self.fanout.inner.shards[0]
            .commands
            .send(Command::Test(work));
        assert!(waiting.recv_timeout(PATIENCE).is_err());
    }

    /// Sends a key frame of one packet to everyone; a rotten one says that it is longer than it is.
    fn frame(&mut self, rotten: bool) {
        let span = PacketSpan {
            offset: 0,
            len: if rotten { 1000 } else { 11 },
            marker: true,
        };
        let batch = FrameBatch {
            media: Media::Video,
            codec: Codec::Vp8,
            first_seq: self.next_seq,
            timestamp: self.next_seq as u32 * 3000,
            keyframe: true,
            closed_at: Instant::now(),
            payload: [0x10, 0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0].into(),
            packets: [span].into(),
        };
        self.next_seq += 1;
        let key = self.stream.key();
        self.within(move |shard| shard.inbox.deliver(key, Arc::new(batch)));
    }

    fn until_panics(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.counters.panics.value() < count {
            assert!(Instant::now() < deadline, "{:?}", self.counters.panics);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.counters.panics.value(), count);
    }
}

impl One {
    /// Waits for the next packet of media.
    fn packet(&self) -> u16 {
        let mut bytes = [0; 2000];
        loop {
            self.socket.recv(&mut bytes).expect("a packet");
            if bytes[1] & 0x7f == 102 {
                return u16::from_be_bytes([bytes[2], bytes[3]]);
            }
        }
    }

    fn is_ended(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(ViewerEvent::Refused(_)) = self.events.try_recv() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

#[test]
fn a_panic_over_a_datagram_or_a_command_leaves_the_shard_as_it_was() {
    let mut site = Site::new();
    let (mut one, two) = (site.join(1), site.join(2));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = site.fanout.local_addrs()[0];
    stranger.send_to(POISON, address).unwrap();
    site.until_panics(1);
    site.fanout.spawn_on(0, || panic!("on purpose"));
    site.until_panics(2);
    site.within(|_| panic!("on purpose"));
    site.until_panics(3);
    // Of a task of its own: nothing of the shard's.
    site.fanout
        .spawn_on(0, || Box::pin(async { panic!("on purpose") }));
    for viewer in [&one, &two] {
        assert!(viewer.socket.set_nonblocking(false).is_ok());
    }
    site.frame(false);
    site.frame(false);
    for viewer in [&one, &two] {
        assert_eq!(viewer.packet() + 1, viewer.packet());
    }
    assert!(one.events.try_recv().is_err());
    site.fanout.shutdown();
}

#[test]
fn a_panic_within_a_viewer_ends_that_viewer_alone() {
    let mut site = Site::new();
    let (mut one, mut two) = (site.join(1), site.join(2));
    let key = one.handle.route.key;
    site.within(move |shard| shard.with_viewer(key, |_, _| panic!("on purpose")));
    site.until_panics(1);
    assert!(one.is_ended());
    site.frame(false);
    two.packet();
    assert!(two.events.try_recv().is_err());
    site.fanout.shutdown();
}

#[test]
fn a_frame_that_panics_is_left_out_and_the_next_one_reaches_everybody() {
    let mut site = Site::new();
    let (mut one, mut two) = (site.join(1), site.join(2));
    for round in 0..2 {
        site.frame(false);
        one.packet();
        two.packet();
        site.frame(true);
        site.until_panics(round + 1);
    }
    site.frame(false);
    one.packet();
    two.packet();
    assert!(one.events.try_recv().is_err() && two.events.try_recv().is_err());
    site.fanout.shutdown();
}

#[test]
fn a_viewer_at_whose_turn_panics_come_again_ends_and_the_others_go_on() {
    let mut site = Site::new();
    let mut one = site.join(1);
    for round in 0..3 {
        site.frame(true);
        site.until_panics(round + 1);
    }
    assert!(one.is_ended());
    let two = site.join(2);
    // It gets nothing any more, so that it can't make the others lose frames.
    site.frame(false);
    two.packet();
    let len = Arc::new(AtomicUsize::new(0));
    let counted = len.clone();
    site.within(move |shard| {
        let all = shard.streams.values().map(|playing| playing.viewers.len());
        counted.store(all.sum(), Ordering::Relaxed);
    });
    assert_eq!(len.load(Ordering::Relaxed), 1);
    drop(one.handle.remove(Vec::new()));
    site.frame(false);
    two.packet();
    assert_eq!(site.fanout.demux_len(), (1, 1));
    site.fanout.shutdown();
}
