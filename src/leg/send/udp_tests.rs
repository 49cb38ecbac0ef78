//! The UDP sender against sockets that come and go as FFmpeg's do.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Runtime;

use super::*;
use crate::leg::ports::Ports as AllPorts;
use crate::rtp::codec::Codec;
use crate::stream::StreamKey;

/// Pictures are kept for who joins.
const KEPT: crate::stream::history::Limits = crate::stream::history::Limits {
    bytes: 1 << 20,
    time: Duration::from_secs(12),
};
const PATIENCE: Duration = Duration::from_secs(20);
const BOTH: Promise = Promise {
    video: Some(Codec::H264),
    audio: true,
};

struct Rig {
    sender: Option<UdpSender>,
    point: Arc<IngestPoint>,
    numbers: Arc<InputNumbers>,
    asked: Arc<AtomicU64>,
    port: u16,
    _runtime: Runtime,
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let point = IngestPoint::new(
        "cam",
        StreamKey(1),
        BOTH.expectation(),
        KEPT,
        Arc::default(),
        crate::events::Events::default(),
    );
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    point.claim_keyframes(Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let four = Arc::new(AllPorts::new(None).reserve_four().unwrap());
    let port = four.port();
    let numbers = Arc::new(InputNumbers::default());
    let (sender, task) = UdpSender::new(
        four,
        &BOTH,
        point.clone(),
        numbers.clone(),
        Arc::default(),
        true,
    )
    .unwrap();
    runtime.spawn(task.run());
    Rig {
        sender: Some(sender),
        point,
        numbers,
        asked,
        port,
        _runtime: runtime,
    }
}

impl Rig {
    /// Both of FFmpeg's RTP ports.
    fn listen(&self) -> [UdpSocket; 2] {
        [self.port, self.port + 2].map(|port| {
            let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            socket
        })
    }

    fn wait_until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn reads(&self) -> bool {
        self.numbers.reading.load(Ordering::Relaxed)
    }
}

/// RTCP packet types until the socket is quiet for 20 ms or `enough` byes came.
fn byes(socket: &UdpSocket, enough: usize, within: Duration) -> Vec<Instant> {
    let (begin, mut at, mut buffer) = (Instant::now(), Vec::new(), [0; 2048]);
    while at.len() < enough && begin.elapsed() < within {
        if let Ok(16) = socket.recv(&mut buffer)
            && (buffer[1], buffer[9]) == (201, 203)
        {
            at.push(Instant::now());
        }
    }
    at
}

#[test]
fn ffmpeg_is_noticed_when_it_comes_and_asked_for_a_key_frame_and_noticed_when_it_goes() {
    let rig = rig();
    for _ in 0..3 {
        let asked = rig.asked.load(Ordering::Relaxed);
        let ports = rig.listen();
        rig.wait_until("it reads", Rig::reads);
        rig.wait_until("a key frame is asked for", |it| {
            it.asked.load(Ordering::Relaxed) > asked
        });
        drop(ports);
        rig.wait_until("it is gone", |it| !it.reads());
    }
    assert_eq!(rig.numbers.readings.load(Ordering::Relaxed), 3);
    assert!(!rig.point.stream().info().ended, "nobody else noticed");
}

#[test]
fn one_port_alone_is_no_ffmpeg_yet() {
    let rig = rig();
    let [_video, audio] = rig.listen();
    drop(audio);
    std::thread::sleep(Duration::from_millis(300));
    // Both may have been open for a moment; now one is not.
    rig.wait_until("it does not read", |it| !it.reads());
}

#[test]
fn a_stop_says_one_goodbye_per_medium_and_returns_when_the_ports_are_closed() {
    let mut rig = rig();
    let ports = rig.listen();
    rig.wait_until("it reads", Rig::reads);
    let sender = rig.sender.take().unwrap();
    let stop = std::thread::spawn(move || {
        let begin = Instant::now();
        sender.stop(Instant::now() + PATIENCE);
        begin.elapsed()
    });
    for socket in &ports {
        assert_eq!(byes(socket, 1, PATIENCE).len(), 1);
    }
    drop(ports);
    assert!(stop.join().unwrap() < STOP_WAITS);
}

#[test]
fn goodbyes_are_repeated_behind_a_stop_while_ffmpeg_listens_on() {
    let mut rig = rig();
    let [video, _audio] = rig.listen();
    rig.wait_until("it reads", Rig::reads);
    let begin = Instant::now();
    rig.sender.take().unwrap().stop(Instant::now() + PATIENCE);
    assert!(begin.elapsed() < STOP_WAITS * 3, "the host is not held up");
    let at = byes(&video, 4, PATIENCE);
    assert_eq!(at.len(), 4);
    // Only the ones that were not waiting in the socket tell the time.
    assert!(at[3] - at[2] >= GOODBYE_EVERY / 2, "{at:?}");
}

#[test]
fn an_interrupt_ends_one_run_and_the_next_is_served() {
    let rig = rig();
    let ports = rig.listen();
    rig.wait_until("it reads", Rig::reads);
    rig.sender.as_ref().unwrap().interrupt();
    assert_eq!(byes(&ports[0], 1, PATIENCE).len(), 1);
    drop(ports);
    rig.wait_until("it is gone", |it| !it.reads());
    let _ports = rig.listen();
    rig.wait_until("it reads again", Rig::reads);
}

#[test]
fn an_ffmpeg_that_was_never_there_does_not_hold_up_a_stop() {
    let mut rig = rig();
    let begin = Instant::now();
    rig.sender.take().unwrap().stop(Instant::now() + PATIENCE);
    assert!(begin.elapsed() < STOP_WAITS, "{:?}", begin.elapsed());
}
