//! Packets that wait a random while each, so that later ones overtake them: what a network with jitter does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// When it may go on, its number (so that nothing else is compared), the way and the packet.
type Parcel = (Instant, u64, Way, Vec<u8>);

/// A connected socket, not compared.
struct Way(Arc<UdpSocket>);

impl PartialEq for Way {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Way {}

impl PartialOrd for Way {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Way {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// The waiting room. Its thread ends when it is dropped, and what waits is lost.
pub(crate) struct Jitter {
    sender: mpsc::Sender<Parcel>,
    random: u64,
    number: u64,
}

impl Jitter {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || pass_on(&receiver));
        // A fixed seed: no run is unluckier than another.
        Self {
            sender,
            random: 54_321,
            number: 0,
        }
    }

    /// Sends a packet after up to `most`.
    pub(crate) fn send(&mut self, way: &Arc<UdpSocket>, bytes: &[u8], most: Duration) {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.number += 1;
        let wait = most.mul_f64((self.random >> 33) as f64 / f64::from(1_u32 << 31));
        let parcel = (
            Instant::now() + wait,
            self.number,
            Way(Arc::clone(way)),
            bytes.to_vec(),
        );
        let _ = self.sender.send(parcel);
    }
}

fn pass_on(receiver: &mpsc::Receiver<Parcel>) {
    let mut waiting: BinaryHeap<Reverse<Parcel>> = BinaryHeap::new();
    loop {
        let due = waiting.peek().map(|Reverse(parcel)| parcel.0);
        let wait = due.map_or(Duration::from_secs(1), |due| {
            due.saturating_duration_since(Instant::now())
        });
        match receiver.recv_timeout(wait) {
            Ok(parcel) => waiting.push(Reverse(parcel)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting
            .peek()
            .is_some_and(|Reverse(next)| next.0 <= Instant::now())
        {
            if let Some(Reverse((_, _, Way(way), bytes))) = waiting.pop() {
                let _ = way.send(&bytes);
            }
        }
    }
}
