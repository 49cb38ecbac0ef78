//! DTLS datagrams for addresses that may not get them yet: they wait here until the address has sent more.

use super::outbox::Outbox;
use super::paths::Paths;
use crate::net::Path;
use crate::stats::Counters;

/// Datagrams per path; a flight has fewer.
const HELD_MAX: usize = 8;

/// What waits, in the order it came.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(Path, Vec<u8>)>);

impl Held {
    /// Sends a datagram, or keeps it for later. `grant`: bytes the peer may get beyond what the address has earned.
    pub(super) fn send(
        &mut self,
        paths: &mut Paths,
        grant: &mut usize,
        path: Path,
        bytes: Vec<u8>,
        counters: &Counters,
        out: &mut Outbox,
    ) {
        let waiting = self.0.iter().filter(|(held, _)| *held == path).count();
        let known = paths.all().any(|known| *known == path);
        if waiting == 0 && paths.spend(&path, bytes.len()) {
            out.send.push((path, bytes));
        } else if waiting == 0 && known && *grant >= bytes.len() {
            *grant -= bytes.len();
            out.send.push((path, bytes));
        } else if waiting < HELD_MAX && known {
            self.0.push((path, bytes));
        } else {
            counters.dtls_dropped.inc();
        }
    }

    /// Sends what may be sent by now, in order per path: an address that gets no more holds up no other.
    pub(super) fn release(&mut self, paths: &mut Paths, counters: &Counters, out: &mut Outbox) {
        let mut index = 0;
        while let Some((path, bytes)) = self.0.get(index) {
            let known = paths.all().any(|known| known == path);
            let behind = self.0[..index].iter().any(|(before, _)| before == path);
            if known && (behind || !paths.spend(path, bytes.len())) {
                index += 1;
                continue;
            }
            let (path, bytes) = self.0.remove(index);
            if known {
                out.send.push((path, bytes));
            } else {
                counters.dtls_dropped.inc();
            }
        }
    }
}
