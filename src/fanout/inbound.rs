//! The way in: whose datagram is it, and is that viewer here or on another shard?

use std::time::{Instant, SystemTime};

use super::Command;
use super::shard::Shard;
use crate::net::{Datagram, Path, Route};
use crate::peer::ice::{Kind, classify, stun};

impl Shard {
    /// A datagram came in on listen address `socket`.
    pub(super) fn received(
        &mut self,
        socket: u8,
        datagram: &Datagram<'_>,
        now: Instant,
        wall: SystemTime,
    ) {
        let path = Path {
            socket,
            local: datagram.local,
            remote: datagram.remote,
        };
        #[cfg(test)]
        assert!(datagram.bytes != super::mend_tests::POISON, "on purpose");
        if classify(datagram.bytes) == Kind::Stun {
            // A check says itself whose it is; that holds for new addresses too (RFC 8445 §7.3).
            let route = stun::BindingRequest::parse(datagram.bytes)
                .ok()
                .and_then(|request| self.demux.by_ufrag(request.local_ufrag));
            match route {
                Some(route) => self.deliver(route, path, datagram.bytes, true, now, wall),
                None => self.counters.stun_rejected.inc(),
            }
            return;
        }
        let routes = self.demux.by_address(path.socket, path.remote);
        if routes[0].is_none() {
            return self.counters.datagrams_unknown.inc();
        }
        let last = routes.iter().flatten().count() - 1;
        for (index, route) in routes.into_iter().flatten().enumerate() {
            // The last has the credit: the one that came latest, while the first is likely proven and needs none.
            self.deliver(route, path, datagram.bytes, index == last, now, wall);
        }
    }

    fn deliver(
        &mut self,
        route: Route,
        path: Path,
        bytes: &[u8],
        credit: bool,
        now: Instant,
        wall: SystemTime,
    ) {
        if route.shard == self.index && self.publishers.has(route.key) {
            self.publishers.arrived_at(route.key, self.index);
            self.with_publisher(route.key, |publisher, out| {
                publisher.datagram(path, bytes, credit, now, out);
            });
        } else if route.shard == self.index {
            self.with_viewer(route.key, |viewer, out| {
                viewer.datagram(path, bytes, credit, now, wall, out)
            });
        } else if !self.peers[route.shard].forward(Command::Datagram(
            route.key,
            path,
            bytes.to_vec(),
            credit,
            self.index,
        )) {
            self.counters.datagrams_unknown.inc();
        }
    }
}
