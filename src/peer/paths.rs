//! The addresses a peer was seen at: which passed a connectivity check, which authenticated, which gets media.
//!
//! A connectivity check (RFC 8445 §7.3) makes an address known, but checks can be recorded and replayed from
//! elsewhere. So a known address gets at most three times the bytes it sent until DTLS, SRTCP or SRTP from it
//! authenticates, and only that moves media for good ([`moves`](super::moves) has what a check may do).

use std::time::Instant;

use crate::net::Path;

/// Addresses remembered per peer; a phone changing networks needs two or three.
const PATHS_MAX: usize = 4;
/// Bytes an unproven address may get per byte it sent (as RFC 9000 §8.1 has it for QUIC).
const AMPLIFICATION: u64 = 3;

#[derive(Debug)]
struct Known {
    path: Path,
    received: u64,
    sent: u64,
    proven: bool,
    seen: Instant,
}

/// What a peer's paths are and where media goes.
#[derive(Debug, Default)]
pub struct Paths {
    known: Vec<Known>,
    selected: Option<usize>,
}

/// A path was made known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learnt {
    /// It was not known before.
    pub new: bool,
    /// The path forgotten for it.
    pub forgotten: Option<Path>,
}

impl Paths {
    /// A connectivity check from `path` authenticated. None where there is no room: all known paths are proven.
    pub fn checked(&mut self, path: Path, bytes: usize, now: Instant) -> Option<Learnt> {
        if let Some(known) = self.find(&path) {
            known.received += bytes as u64;
            known.seen = now;
            return Some(Learnt {
                new: false,
                forgotten: None,
            });
        }
        let fresh = Known {
            path,
            received: bytes as u64,
            sent: 0,
            proven: false,
            seen: now,
        };
        if self.known.len() < PATHS_MAX {
            self.known.push(fresh);
            return Some(Learnt {
                new: true,
                forgotten: None,
            });
        }
        let selected = self.selected;
        let replaceable =
            |(index, known): &(usize, &Known)| Some(*index) != selected && !known.proven;
        let oldest_unproven = self
            .known
            .iter()
            .enumerate()
            .filter(replaceable)
            .min_by_key(|(_, known)| known.seen);
        // A proven path that went silent gives way only when there is no unproven one.
        let victim = oldest_unproven
            .or_else(|| {
                let other = |(index, _): &(usize, &Known)| Some(*index) != selected;
                self.known
                    .iter()
                    .enumerate()
                    .filter(other)
                    .min_by_key(|(_, known)| known.seen)
            })
            .map(|(index, _)| index)?;
        let forgotten = std::mem::replace(&mut self.known[victim], fresh).path;
        Some(Learnt {
            new: true,
            forgotten: Some(forgotten),
        })
    }

    /// Anything else came from `path`; false where no check from there ever authenticated.
    pub fn received(&mut self, path: &Path, bytes: usize) -> bool {
        let Some(known) = self.find(path) else {
            return false;
        };
        known.received += bytes as u64;
        true
    }

    /// Something from `path` authenticated: media goes there from now on. True where that is a move.
    pub fn prove(&mut self, path: &Path, now: Instant) -> bool {
        let Some(index) = self.known.iter().position(|known| known.path == *path) else {
            return false;
        };
        self.known[index].proven = true;
        self.known[index].seen = now;
        let moved = self.selected != Some(index);
        self.selected = Some(index);
        moved
    }

    /// Takes `bytes` from the allowance of `path`; false where they must not be sent (yet).
    pub fn spend(&mut self, path: &Path, bytes: usize) -> bool {
        let Some(known) = self.find(path) else {
            return false;
        };
        let total = known.sent + bytes as u64;
        if !known.proven && total > known.received * AMPLIFICATION {
            return false;
        }
        known.sent = total;
        true
    }

    /// Where media goes: the path that authenticated last.
    #[must_use]
    pub fn selected(&self) -> Option<&Path> {
        self.selected.map(|index| &self.known[index].path)
    }

    /// `path` has authenticated something.
    #[must_use]
    pub fn is_proven(&self, path: &Path) -> bool {
        self.known
            .iter()
            .any(|known| known.proven && known.path == *path)
    }

    /// Every known path.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.known.iter().map(|known| &known.path)
    }

    fn find(&mut self, path: &Path) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.path == *path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path(port: u16) -> Path {
        Path {
            socket: 0,
            local: None,
            remote: ([192, 0, 2, 1], port).into(),
        }
    }

    #[test]
    fn an_unproven_address_gets_three_times_what_it_sent() {
        let now = Instant::now();
        let mut paths = Paths::default();
        assert!(!paths.spend(&path(1), 1), "never checked");
        paths.checked(path(1), 100, now);
        assert!(paths.spend(&path(1), 300));
        assert!(!paths.spend(&path(1), 1));
        assert!(paths.received(&path(1), 10));
        assert!(paths.spend(&path(1), 30));
        assert!(!paths.spend(&path(1), 1));
        paths.prove(&path(1), now);
        assert!(paths.spend(&path(1), 1_000_000));
    }

    #[test]
    fn a_check_alone_never_moves_media() {
        let now = Instant::now();
        let mut paths = Paths::default();
        paths.checked(path(1), 100, now);
        assert_eq!(paths.selected(), None);
        assert!(paths.prove(&path(1), now));
        paths.checked(path(2), 100, now + Duration::from_secs(1));
        assert_eq!(paths.selected(), Some(&path(1)));
        assert!(
            !paths.prove(&path(3), now),
            "an address that never passed a check proves nothing"
        );
        assert!(paths.prove(&path(2), now));
        assert_eq!(paths.selected(), Some(&path(2)));
    }

    #[test]
    fn a_flood_of_addresses_pushes_out_neither_the_selected_nor_the_proven_one() {
        let now = Instant::now();
        let mut paths = Paths::default();
        for port in 1..=2 {
            paths.checked(path(port), 100, now);
            paths.prove(&path(port), now);
        }
        for port in 3..100 {
            paths.checked(path(port), 100, now + Duration::from_millis(port.into()));
        }
        assert_eq!(paths.all().count(), PATHS_MAX);
        assert!(paths.is_proven(&path(1)) && paths.is_proven(&path(2)));
        assert_eq!(paths.selected(), Some(&path(2)));
        assert!(paths.all().any(|known| *known == path(99)));
    }
}
