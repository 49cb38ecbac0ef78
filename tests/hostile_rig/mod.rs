//! A server, a viewer that watches, and a control beat that says how busy the machine itself is.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod watcher;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use corertc::config::{ProcessSettings, Settings, VideoCodec};
use corertc::rtp::codec::Codec;
use corertc::subsystem::Subsystem;

use crate::whep_rig::{packet, subsystem};
use watcher::{Beat, Watcher};

/// A running viewer never stalls for longer, plus what the machine stalled anyway.
const STALL_MAX: Duration = Duration::from_millis(200);
/// What a second and a third attack may add to the memory of the first.
const GROWTH_MAX: u64 = 12 << 20;
const FRAME_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Stage {
    pub(crate) subsystem: Arc<Subsystem>,
    pub(crate) watcher: Watcher,
    beat: Arc<Mutex<Beat>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A server with the stream `cam`, and its viewer, which is connected. One at a time: the others' attacks would
    /// hit it, too.
    pub(crate) fn new(settings: Settings) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let subsystem = subsystem(settings);
        let (beat, stop) = (Arc::default(), Arc::default());
        let threads = feed(&subsystem, &beat, &stop);
        let watcher = Watcher::play(&subsystem, "/whep/cam");
        Self {
            subsystem,
            watcher,
            beat,
            stop,
            threads,
            _turn: turn,
        }
    }

    /// Where the server's media socket is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.watcher.ice.candidates[0]
    }

    /// Runs an attack three times; asserts that the viewer never stalled and that memory is as flat as after the first.
    pub(crate) fn endure(&self, mut attack: impl FnMut(&Self)) {
        let mut first = 0;
        for round in 0..3 {
            self.watcher.begin_anew();
            self.beat.lock().unwrap().begin_anew();
            attack(self);
            std::thread::sleep(Duration::from_millis(250));
            let (seen, beat) = (self.watcher.seen(), self.beat.lock().unwrap().clone());
            let now = Instant::now();
            let machine = beat.longest_until(now);
            let stalled = seen.video.longest_until(now);
            assert!(
                stalled <= STALL_MAX + machine,
                "round {round}: media paused {stalled:?}, the machine {machine:?}"
            );
            assert!(seen.connected && seen.refused == 0, "{seen:?}");
            // Nothing was lost on the way, but for what one moment of a full buffer takes.
            let (got, sent) = (seen.video.count, beat.count);
            assert!(got * 10 >= sent * 8, "{got} of {sent} frames");
            match round {
                0 => first = resident_bytes(),
                _ => {
                    let grown = resident_bytes().saturating_sub(first);
                    assert!(grown <= GROWTH_MAX, "round {round}: {grown} bytes more");
                }
            }
        }
    }

    /// Waits until the sessions that never connected are gone: the watcher's alone is left, with `more`.
    pub(crate) fn until_sessions(&self, count: usize) {
        let deadline = Instant::now() + crate::PATIENCE;
        while self.sessions() != count {
            assert!(Instant::now() < deadline, "{} sessions", self.sessions());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        let stats: serde_json::Value = serde_json::from_str(&self.subsystem.stats_json()).unwrap();
        stats["sessions"].as_array().unwrap().len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

/// Every 20 ms a key frame to the leg, and a datagram from the same thread to another that notes when it came: what
/// delays that one is the machine, not the server.
fn feed(
    subsystem: &Subsystem,
    beat: &Arc<Mutex<Beat>>,
    stop: &Arc<AtomicBool>,
) -> Vec<JoinHandle<()>> {
    let process = ProcessSettings {
        video_codec: VideoCodec::Encode(Codec::Vp8),
        audio: false,
        ..ProcessSettings::default()
    };
    let legs = subsystem.process_start("cam", &process).unwrap();
    let leg = legs.into_iter().find(|leg| leg.kind == 1).unwrap();
    let control = UdpSocket::bind("127.0.0.1:0").unwrap();
    control
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let at = control.local_addr().unwrap();
    let (stop_feed, stop_control, beat) = (stop.clone(), stop.clone(), beat.clone());
    let feeder = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut seq = 1000_u16;
        while !stop_feed.load(Ordering::Relaxed) {
            let mut packet = packet(leg.kind, leg.payload_type, seq);
            packet.resize(900, 0);
            let _ = socket.send_to(&packet, ("127.0.0.1", leg.rtp_port));
            let _ = socket.send_to(&[0], at);
            seq = seq.wrapping_add(1);
            std::thread::sleep(FRAME_EVERY);
        }
    });
    let controller = std::thread::spawn(move || {
        while !stop_control.load(Ordering::Relaxed) {
            if control.recv(&mut [0; 16]).is_ok() {
                beat.lock().unwrap().note(Instant::now());
            }
        }
    });
    vec![feeder, controller]
}

/// Memory of this process that is in RAM.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
