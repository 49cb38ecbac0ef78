//! RTP of a recording, sent to a leg again and again as one sender: for codecs the machine's FFmpeg can't send.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use corertc::leg::Leg;

/// Two seconds of AV1 as FFmpeg 9.0.2 with libaom sends it (320x180, 30 frames a second, one key frame at the start).
const AV1: &[u8] = include_bytes!("../media/av1.rtp");
const AV1_TICKS: u32 = 60 * 3000;

/// A running sender. Dropping it ends it.
pub(crate) struct Replay {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    pub(crate) fn av1(leg: &Leg) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ending);
        let (port, payload_type) = (leg.rtp_port, leg.payload_type);
        let thread = std::thread::spawn(move || send(port, payload_type, &seen));
        Self {
            ending,
            thread: Some(thread),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The packets of the recording, each with its length in front, two bytes.
pub(crate) fn av1_packets() -> Vec<&'static [u8]> {
    let mut rest = AV1;
    let mut packets = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (packet, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
        packets.push(packet);
        rest = tail;
    }
    packets
}

fn send(port: u16, payload_type: u8, ending: &AtomicBool) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packets = av1_packets();
    let ticks_of = |packet: &[u8]| u32::from_be_bytes(packet[4..8].try_into().unwrap());
    let (start, first) = (Instant::now(), ticks_of(packets[0]));
    let mut seq = 0_u16;
    for turn in 0.. {
        for packet in &packets {
            let ticks = ticks_of(packet).wrapping_sub(first) + turn * AV1_TICKS;
            let due = start + Duration::from_micros(u64::from(ticks) * 1_000_000 / 90_000);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if ending.load(Ordering::Relaxed) {
                return;
            }
            let mut packet = packet.to_vec();
            packet[1] = packet[1] & 0x80 | payload_type;
            packet[2..4].copy_from_slice(&seq.to_be_bytes());
            packet[4..8].copy_from_slice(&ticks.to_be_bytes());
            seq = seq.wrapping_add(1);
            let _ = socket.send_to(&packet, ("127.0.0.1", port));
        }
    }
}
