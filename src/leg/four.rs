//! Four consecutive loopback ports of an input (V even, video's RTP and RTCP, audio's RTP and RTCP), for FFmpeg to bind.
//!
//! The library can't hold them open: FFmpeg binds without SO_REUSEADDR. They are tried by binding and closing, and books are
//! kept: nothing else of ours takes them, and what was given back lately is given out last.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ports::{Ports, PortsError, Range, bind};

/// Tries among the OS's own ports.
const OS_TRIES: usize = 64;
/// Fours given back lately that the OS's choice avoids.
const RECENT_MAX: usize = 64;

/// Four ports; given back when dropped.
#[derive(Debug)]
pub struct Four {
    ports: Ports,
    port: u16,
}

/// Which fours inputs have.
#[derive(Debug, Default)]
pub(super) struct Held {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    first: HashSet<u16>,
    recent: VecDeque<u16>,
}

impl Four {
    /// V, even.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A socket of ours on a port that no input has. std's sockets are close-on-exec.
    pub(super) fn bind_beside(&self) -> io::Result<UdpSocket> {
        // Kept until the end: the OS must not offer the same port again.
        let mut losers = Vec::new();
        loop {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = socket.local_addr()?.port();
            if !self.ports.held.contains(port) || losers.len() >= OS_TRIES {
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            losers.push(socket);
        }
    }
}

impl Drop for Four {
    fn drop(&mut self) {
        self.ports.held.give_back(self.port);
        if let Some(range) = &self.ports.range {
            range.lock().extend([self.port, self.port + 2]);
        }
    }
}

impl Ports {
    /// Four free ports, free again at once: FFmpeg binds them.
    pub fn reserve_four(&self) -> Result<Four, PortsError> {
        let port = match &self.range {
            Some(range) => self.four_of(range)?,
            None => self.four_anywhere()?,
        };
        Ok(Four {
            ports: self.clone(),
            port,
        })
    }

    /// Tries each place of the range once, the one longest unused first.
    fn four_of(&self, range: &Range) -> Result<u16, PortsError> {
        let candidates: Vec<u16> = range.lock().iter().copied().collect();
        for port in candidates {
            {
                // Taken out while they are tried: parallel starts don't wait for each other.
                let mut free = range.lock();
                let Some(next) = port.checked_add(2) else {
                    continue;
                };
                if !(free.contains(&port) && free.contains(&next)) {
                    continue;
                }
                free.retain(|it| *it != port && *it != next);
            }
            match are_free(port) {
                Ok(true) => {
                    self.held.take(port);
                    return Ok(port);
                }
                other => {
                    range.lock().extend([port, port + 2]);
                    other?;
                }
            }
        }
        let (min, max) = (range.min, range.max);
        Err(PortsError::NoFour(format!(
            " in LEG_PORT_MIN–LEG_PORT_MAX {min}–{max}"
        )))
    }

    fn four_anywhere(&self) -> Result<u16, PortsError> {
        let mut losers = Vec::new();
        for round in 0..OS_TRIES {
            let Some(socket) = bind(0)? else { break };
            let port = socket.local_addr()?.port() & !1;
            losers.push(socket);
            let fits = port <= u16::MAX - 3 && !self.held.overlaps(port);
            let late = round >= OS_TRIES / 2;
            if !fits || (self.held.was_recent(port) && !late) {
                continue;
            }
            losers.pop();
            if are_free(port)? && self.held.take(port) {
                return Ok(port);
            }
        }
        Err(PortsError::NoFour(String::new()))
    }
}

impl Held {
    /// Whether an input has this port.
    pub(super) fn contains(&self, port: u16) -> bool {
        let even = port & !1;
        let inner = self.lock();
        inner.first.contains(&even) || inner.first.contains(&even.wrapping_sub(2))
    }

    /// False where another start was faster.
    fn take(&self, port: u16) -> bool {
        let mut inner = self.lock();
        let taken = [port.wrapping_sub(2), port, port.wrapping_add(2)];
        if taken.iter().any(|it| inner.first.contains(it)) {
            return false;
        }
        inner.recent.retain(|it| *it != port);
        inner.first.insert(port)
    }

    fn give_back(&self, port: u16) {
        let mut inner = self.lock();
        inner.first.remove(&port);
        inner.recent.push_back(port);
        if inner.recent.len() > RECENT_MAX {
            inner.recent.pop_front();
        }
    }

    fn overlaps(&self, port: u16) -> bool {
        self.contains(port) || self.contains(port + 2)
    }

    fn was_recent(&self, port: u16) -> bool {
        let inner = self.lock();
        inner.recent.iter().any(|it| it.abs_diff(port) <= 2)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn are_free(port: u16) -> io::Result<bool> {
    let mut bound = Vec::with_capacity(4);
    for port in port..=port + 3 {
        let Some(socket) = bind(port)? else {
            return Ok(false);
        };
        bound.push(socket);
    }
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn four_consecutive_ports_are_free_and_nobody_elses() {
        let ports = Ports::new(None);
        let fours: Vec<Four> = (0..20).map(|_| ports.reserve_four().unwrap()).collect();
        let mut all: Vec<u16> = fours
            .iter()
            .flat_map(|four| four.port()..four.port() + 4)
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 80);
        for four in &fours {
            assert_eq!(four.port() % 2, 0);
            assert!(are_free(four.port()).unwrap(), "nothing holds them");
        }
        for _ in 0..200 {
            let pair = ports.allocate().unwrap();
            assert!(!all.contains(&pair.port) && !all.contains(&(pair.port + 1)));
        }
        for _ in 0..50 {
            let socket = fours[0].bind_beside().unwrap();
            assert!(!all.contains(&socket.local_addr().unwrap().port()));
        }
    }

    #[test]
    fn a_range_gives_fours_and_pairs_and_says_when_it_is_full() {
        let base = free_place(8);
        let ports = Ports::new(Some(base..=base + 7));
        let first = ports.reserve_four().unwrap();
        let second = ports.reserve_four();
        // A range of eight holds two fours, or one that lies across both.
        let taken = 1 + usize::from(second.is_ok());
        let pairs: Vec<_> = std::iter::from_fn(|| ports.allocate().ok()).collect();
        assert_eq!(pairs.len(), 4 - 2 * taken);
        let full = ports.reserve_four().unwrap_err();
        assert!(full.to_string().contains(&base.to_string()), "{full}");
        drop((first, second));
        for pair in pairs {
            let port = pair.port;
            drop(pair);
            ports.release(port);
        }
        let again = ports.reserve_four().unwrap();
        assert!((base..base + 8).contains(&again.port()));
    }

    #[test]
    fn a_four_with_one_busy_port_is_passed_over() {
        let base = free_place(4);
        let ports = Ports::new(Some(base..=base + 3));
        let busy = UdpSocket::bind((Ipv4Addr::LOCALHOST, base + 3)).unwrap();
        assert!(matches!(ports.reserve_four(), Err(PortsError::NoFour(_))));
        drop(busy);
        assert_eq!(ports.reserve_four().unwrap().port(), base);
    }

    /// A place for so many ports that nothing else uses now.
    fn free_place(len: u16) -> u16 {
        let ports = Ports::new(None);
        loop {
            let four = ports.reserve_four().unwrap();
            let base = four.port();
            if base.checked_add(len).is_some()
                && (base..base + len)
                    .step_by(4)
                    .all(|it| are_free(it).unwrap())
            {
                return base;
            }
        }
    }
}
