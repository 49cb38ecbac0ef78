//! Loopback port pairs (V even for video, V + 1 for audio): chosen by the OS, or from the configured range.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::four::Held;

/// Tries for an adjacent pair among the OS's own ports, as in the Go original.
const OS_TRIES: usize = 10;

/// Bytes asked of the kernel per socket: its default holds 92 packets, which one key frame overflows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Why there is no pair.
#[derive(Debug, Error)]
pub enum PortsError {
    /// Every pair of the configured range is taken.
    #[error(
        "no free pair of UDP ports (even, odd) on 127.0.0.1 in LEG_PORT_MIN–LEG_PORT_MAX {min}–{max}"
    )]
    RangeFull {
        /// First port of the range.
        min: u16,
        /// Last port of the range.
        max: u16,
    },
    /// The OS's range gave none in ten tries.
    #[error("no free pair of UDP ports (even, odd) on 127.0.0.1 in {OS_TRIES} tries")]
    NoneFound,
    /// No four consecutive ports for an input.
    #[error("no four consecutive free UDP ports on 127.0.0.1 for an input{0}")]
    NoFour(String),
    /// The OS refused for another reason than a port that is taken.
    #[error("can't open a UDP socket on 127.0.0.1: {0}")]
    Io(#[from] io::Error),
}

/// Two bound sockets on adjacent ports.
#[derive(Debug)]
pub struct Pair {
    /// Bound on [`Pair::port`].
    pub video: UdpSocket,
    /// Bound on the port above.
    pub audio: UdpSocket,
    /// V, even.
    pub port: u16,
}

/// Gives out pairs. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(super) range: Option<Arc<Range>>,
    pub(super) held: Arc<Held>,
}

#[derive(Debug)]
pub(super) struct Range {
    pub(super) min: u16,
    pub(super) max: u16,
    /// Even ports not given out, the one longest unused first.
    free: Mutex<VecDeque<u16>>,
}

impl Ports {
    /// From the OS's range where `range` is None.
    #[must_use]
    pub fn new(range: Option<RangeInclusive<u16>>) -> Self {
        Self {
            range: range.map(|range| Arc::new(Range::new(range))),
            held: Arc::default(),
        }
    }

    /// Binds a free pair.
    pub fn allocate(&self) -> Result<Pair, PortsError> {
        match &self.range {
            Some(range) => range.allocate(),
            None => allocate_anywhere(&self.held),
        }
    }

    /// The pair at `port` is closed: its ports go to the end of the queue.
    pub fn release(&self, port: u16) {
        if let Some(range) = &self.range {
            range.lock().push_back(port);
        }
    }
}

impl Range {
    fn new(range: RangeInclusive<u16>) -> Self {
        let (min, max) = range.into_inner();
        let first = u32::from(min).next_multiple_of(2);
        let mut free: VecDeque<u16> = (first..u32::from(max))
            .step_by(2)
            .filter_map(|port| u16::try_from(port).ok())
            .collect();
        // Two subsystems on one range begin at different places: a port given up by a host that was killed is not
        // the first one its successor gives out.
        if !free.is_empty() {
            let mut random = [0_u8; 2];
            let _ = aws_lc_rs::rand::fill(&mut random);
            let start = usize::from(u16::from_ne_bytes(random)) % free.len();
            free.rotate_left(start);
        }
        Self {
            min,
            max,
            free: Mutex::new(free),
        }
    }

    /// Tries every pair once. The lock is not held while binding, so parallel starts don't wait for each other.
    fn allocate(&self) -> Result<Pair, PortsError> {
        let pairs = self.lock().len();
        for _ in 0..pairs {
            let Some(port) = self.lock().pop_front() else {
                break;
            };
            match bind_pair(port) {
                Ok(Some(pair)) => return Ok(pair),
                Ok(None) => self.lock().push_back(port),
                Err(error) => {
                    self.lock().push_front(port);
                    return Err(error.into());
                }
            }
        }
        Err(PortsError::RangeFull {
            min: self.min,
            max: self.max,
        })
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u16>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn allocate_anywhere(held: &Held) -> Result<Pair, PortsError> {
    // Kept until the end: the OS must not offer the same port again.
    let mut losers = Vec::new();
    for _ in 0..OS_TRIES {
        let socket = bind(0)?.ok_or(PortsError::NoneFound)?;
        let port = socket.local_addr()?.port();
        let even = port & !1;
        let other = if port == even { even + 1 } else { even };
        if held.contains(port) {
            // An input's, whose FFmpeg has still to bind it.
            losers.push(socket);
            continue;
        }
        if let Some(neighbour) = bind(other)? {
            let (video, audio) = if port == even {
                (socket, neighbour)
            } else {
                (neighbour, socket)
            };
            return Ok(Pair {
                video,
                audio,
                port: even,
            });
        }
        losers.push(socket);
    }
    Err(PortsError::NoneFound)
}

fn bind_pair(port: u16) -> io::Result<Option<Pair>> {
    let Some(video) = bind(port)? else {
        return Ok(None);
    };
    let audio = bind(port + 1)?;
    Ok(audio.map(|audio| Pair { video, audio, port }))
}

/// A non-blocking, close-on-exec socket on 127.0.0.1 (socket2 sets CLOEXEC); None where the port is taken or not ours to take.
pub(super) fn bind(port: u16) -> io::Result<Option<UdpSocket>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel cuts this to net.core.rmem_max: less room, not a failure.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    match socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()) {
        Ok(()) => Ok(Some(socket.into())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "ports_tests.rs"]
pub(crate) mod tests;
