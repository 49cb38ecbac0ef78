//! The receiver with a feed that counts: both sockets are read, foreign senders dropped, ports free after a stop.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::mpsc::{Sender, channel};

use tokio::runtime::Runtime;

use super::*;
use crate::leg::ports::Ports;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a feed was given.
#[derive(Debug, PartialEq)]
enum Seen {
    Datagram(Option<Media>, Vec<u8>),
    Timeout,
    Expect,
}

#[derive(Debug)]
struct Fake {
    seen: Sender<Seen>,
    wanted: Option<Instant>,
    /// Its timer does, the first time.
    panics_once: bool,
}

impl Feed for Fake {
    fn datagram(&mut self, port: Option<Media>, datagram: &[u8], now: Instant) {
        self.wanted = Some(now + Duration::from_millis(1));
        assert!(datagram != b"panic", "on purpose");
        self.panics_once |= datagram == b"timer";
        let _ = self.seen.send(Seen::Datagram(port, datagram.to_vec()));
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.wanted
    }

    fn handle_timeout(&mut self, now: Instant) {
        assert!(self.wanted.take().is_some_and(|at| at <= now));
        if std::mem::take(&mut self.panics_once) {
            self.wanted = Some(now);
            panic!("on purpose");
        }
        let _ = self.seen.send(Seen::Timeout);
    }

    fn expect(&mut self, _: Expectation) {
        let _ = self.seen.send(Seen::Expect);
    }
}

struct Rig {
    runtime: Runtime,
    receiver: Receiver<Fake>,
    seen: std::sync::mpsc::Receiver<Seen>,
    counters: Arc<Counters>,
    port: u16,
}

fn rig(single_port: bool) -> Rig {
    rig_after(single_port, |_| {})
}

/// `before` runs while nobody reads the ports yet.
fn rig_after(single_port: bool, before: impl FnOnce(u16)) -> Rig {
    let pair = Ports::new(None).allocate().unwrap();
    let port = pair.port;
    let (sender, seen) = channel();
    let counters = Arc::new(Counters::default());
    let feed = Fake {
        seen: sender,
        wanted: None,
        panics_once: false,
    };
    let (receiver, task) = Receiver::new(pair, feed, single_port, counters.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    before(port);
    runtime.spawn(task.run());
    Rig {
        runtime,
        receiver,
        seen,
        counters,
        port,
    }
}

impl Rig {
    fn next_datagram(&self) -> (Option<Media>, Vec<u8>) {
        loop {
            if let Seen::Datagram(port, bytes) = self.seen.recv_timeout(PATIENCE).unwrap() {
                return (port, bytes);
            }
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn sender() -> StdSocket {
    StdSocket::bind(loopback(0)).unwrap()
}

#[test]
fn datagrams_reach_the_feed_with_the_medium_of_their_port() {
    let rig = rig(false);
    let sender = sender();
    sender.send_to(b"v", loopback(rig.port)).unwrap();
    assert_eq!(rig.next_datagram(), (Some(Media::Video), b"v".to_vec()));
    sender.send_to(b"a", loopback(rig.port + 1)).unwrap();
    assert_eq!(rig.next_datagram(), (Some(Media::Audio), b"a".to_vec()));
}

#[test]
fn a_single_port_names_no_medium_and_a_new_configuration_changes_that() {
    let rig = rig(true);
    let sender = sender();
    sender.send_to(b"1", loopback(rig.port)).unwrap();
    assert_eq!(rig.next_datagram(), (None, b"1".to_vec()));
    let expectation = Expectation {
        video: None,
        audio: None,
        start_time_us: 0,
    };
    rig.receiver.expect(expectation, false);
    while rig.seen.recv_timeout(PATIENCE).unwrap() != Seen::Expect {}
    sender.send_to(b"2", loopback(rig.port)).unwrap();
    assert_eq!(rig.next_datagram(), (Some(Media::Video), b"2".to_vec()));
}

#[test]
fn a_silence_runs_the_feeds_timer_once() {
    let rig = rig(false);
    sender().send_to(b"x", loopback(rig.port)).unwrap();
    assert!(matches!(
        rig.seen.recv_timeout(PATIENCE).unwrap(),
        Seen::Datagram(..)
    ));
    assert_eq!(rig.seen.recv_timeout(PATIENCE).unwrap(), Seen::Timeout);
    let feed = rig.receiver.stop(Instant::now() + PATIENCE).unwrap();
    drop(feed);
    assert!(rig.seen.recv().is_err(), "nothing else was done");
}

#[test]
fn a_flood_on_one_port_does_not_starve_the_other() {
    let rig = rig(false);
    let sender = sender();
    for index in 0..2_000_u32 {
        sender
            .send_to(&index.to_be_bytes(), loopback(rig.port))
            .unwrap();
    }
    sender.send_to(b"audio", loopback(rig.port + 1)).unwrap();
    let (mut video, mut audio) = (0, 0);
    while audio == 0 || video < 2_000 {
        match rig.next_datagram().0 {
            Some(Media::Video) => video += 1,
            _ => audio += 1,
        }
    }
    assert_eq!((video, audio), (2_000, 1));
}

#[test]
fn a_sender_that_is_not_127_0_0_1_is_dropped_and_counted() {
    let rig = rig(false);
    let foreign = StdSocket::bind("127.0.0.2:0").unwrap();
    foreign.send_to(b"foreign", loopback(rig.port)).unwrap();
    sender().send_to(b"own", loopback(rig.port)).unwrap();
    assert_eq!(rig.next_datagram().1, b"own");
    assert_eq!(rig.counters.leg_drops.value(), 1);
}

#[test]
fn what_the_kernel_dropped_is_counted() {
    let sender = sender();
    let rig = rig_after(false, |port| {
        for _ in 0..4_000 {
            sender.send_to(&[0; 1000], loopback(port)).unwrap();
        }
    });
    let deadline = Instant::now() + PATIENCE;
    while rig.counters.leg_overflow.value() == 0 {
        // The count comes with the next datagram that is taken.
        sender.send_to(b"on", loopback(rig.port)).unwrap();
        rig.next_datagram();
        assert!(Instant::now() < deadline);
    }
    assert_eq!(
        rig.counters.leg_drops.value(),
        rig.counters.leg_overflow.value()
    );
}

#[test]
fn a_panic_of_the_feed_costs_one_packet_and_not_the_leg() {
    let rig = rig(false);
    let sender = sender();
    for datagram in [&b"panic"[..], b"one", b"timer", b"two"] {
        sender.send_to(datagram, loopback(rig.port)).unwrap();
    }
    assert_eq!(rig.next_datagram().1, b"one");
    assert_eq!(rig.next_datagram().1, b"timer");
    // The timer panics once, and is asked again after a pause.
    while rig.seen.recv_timeout(PATIENCE).unwrap() != Seen::Timeout {}
    assert_eq!(rig.counters.panics.value(), 2);
    sender.send_to(b"three", loopback(rig.port)).unwrap();
    assert_eq!(rig.next_datagram().1, b"three");
    assert!(rig.receiver.stop(Instant::now() + PATIENCE).is_some());
}

#[test]
fn after_a_stop_the_feed_is_back_and_the_ports_are_free() {
    let rig = rig(false);
    for port in [rig.port, rig.port + 1] {
        assert!(StdSocket::bind(loopback(port)).is_err());
    }
    assert!(rig.receiver.stop(Instant::now() + PATIENCE).is_some());
    for port in [rig.port, rig.port + 1] {
        assert!(StdSocket::bind(loopback(port)).is_ok());
    }
}

#[test]
fn a_shard_that_shuts_down_closes_the_sockets_and_does_not_hold_up_a_stop() {
    let rig = rig(false);
    sender().send_to(b"x", loopback(rig.port)).unwrap();
    rig.next_datagram();
    rig.runtime.shutdown_timeout(PATIENCE);
    assert!(rig.receiver.stop(Instant::now() + PATIENCE).is_none());
    assert!(StdSocket::bind(loopback(rig.port)).is_ok());
}

#[test]
fn a_task_that_never_ran_frees_its_ports_before_a_stop_returns() {
    let pair = Ports::new(None).allocate().unwrap();
    let port = pair.port;
    let feed = Fake {
        seen: channel().0,
        wanted: None,
        panics_once: false,
    };
    let (receiver, task) = Receiver::new(pair, feed, false, Arc::default());
    let dropper = std::thread::spawn(move || drop(task));
    assert!(receiver.stop(Instant::now() + PATIENCE).is_none());
    assert!(StdSocket::bind(loopback(port)).is_ok());
    dropper.join().unwrap();
}
