//! Whose datagram is this: by the address it came from, or by the ufrag of its STUN USERNAME (RFC 8445 §7.3).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Where a datagram goes: a shard, and an opaque key that this shard understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// Index of the shard.
    pub shard: usize,
    /// The shard's own key.
    pub key: u64,
}

/// Sessions that may share a remote address: a NAT may give a dead session's port to the next one, and until the
/// dead one expires both get what comes from there (what is not theirs does not authenticate).
const ROUTES_PER_ADDRESS: usize = 2;

type Routes = [Option<Route>; ROUTES_PER_ADDRESS];

/// The tables every shard reads. Writing is rare: a new session, a new address.
#[derive(Debug, Default)]
pub struct Demux {
    by_address: RwLock<HashMap<(u8, SocketAddr), Routes>>,
    by_ufrag: RwLock<HashMap<String, Route>>,
}

impl Demux {
    /// Binding requests for `ufrag` belong to `route`.
    pub fn add_ufrag(&self, ufrag: &str, route: Route) {
        write(&self.by_ufrag).insert(ufrag.to_owned(), route);
    }

    /// Forgets a ufrag.
    pub fn remove_ufrag(&self, ufrag: &str) {
        write(&self.by_ufrag).remove(ufrag);
    }

    /// The session a binding request for `ufrag` belongs to.
    #[must_use]
    pub fn by_ufrag(&self, ufrag: &str) -> Option<Route> {
        read(&self.by_ufrag).get(ufrag).copied()
    }

    /// What comes from `remote` on listen address `socket` may belong to `route` as well. The first route stays: a
    /// check's source address can be forged, so whoever comes later pushes out the last one only.
    pub fn add_address(&self, socket: u8, remote: SocketAddr, route: Route) {
        if self.by_address(socket, remote).contains(&Some(route)) {
            return;
        }
        let mut by_address = write(&self.by_address);
        let routes = by_address.entry((socket, remote)).or_default();
        let free = routes.iter().position(Option::is_none);
        routes[free.unwrap_or(ROUTES_PER_ADDRESS - 1)] = Some(route);
    }

    /// `route` has authenticated at `remote`: from now on it comes first.
    pub fn prove_address(&self, socket: u8, remote: SocketAddr, route: Route) {
        let mut by_address = write(&self.by_address);
        let routes = by_address.entry((socket, remote)).or_default();
        let before = routes.iter().position(|known| *known == Some(route));
        routes[..=before.unwrap_or(ROUTES_PER_ADDRESS - 1)].rotate_right(1);
        routes[0] = Some(route);
    }

    /// `route` has left `remote`.
    pub fn remove_address(&self, socket: u8, remote: SocketAddr, route: Route) {
        self.remove_addresses([(socket, remote, route)].into_iter());
    }

    /// What belonged to `old` belongs to `new`: these ufrags, and what comes from these addresses.
    pub fn reroute<'a>(
        &self,
        old: Route,
        new: Route,
        ufrags: impl Iterator<Item = &'a str>,
        addresses: impl Iterator<Item = (u8, SocketAddr)>,
    ) {
        let mut by_ufrag = write(&self.by_ufrag);
        for ufrag in ufrags {
            if let Some(route) = by_ufrag.get_mut(ufrag).filter(|route| **route == old) {
                *route = new;
            }
        }
        drop(by_ufrag);
        let mut by_address = write(&self.by_address);
        for address in addresses {
            let routes = by_address.get_mut(&address).into_iter().flatten().flatten();
            for route in routes.filter(|route| **route == old) {
                *route = new;
            }
        }
    }

    /// Forgets ufrags.
    pub fn remove_ufrags<'a>(&self, ufrags: impl Iterator<Item = &'a str>) {
        let mut by_ufrag = write(&self.by_ufrag);
        for ufrag in ufrags {
            by_ufrag.remove(ufrag);
        }
    }

    /// Each route has left its listen address and remote one.
    pub fn remove_addresses(&self, left: impl Iterator<Item = (u8, SocketAddr, Route)>) {
        let mut by_address = write(&self.by_address);
        for (socket, remote, route) in left {
            if let Entry::Occupied(mut entry) = by_address.entry((socket, remote)) {
                for slot in entry.get_mut() {
                    if *slot == Some(route) {
                        *slot = None;
                    }
                }
                entry.get_mut().sort_by_key(Option::is_none);
                if entry.get()[0].is_none() {
                    entry.remove();
                }
            }
        }
    }

    /// Whom a datagram from `remote` may belong to, the likeliest first.
    #[must_use]
    pub fn by_address(&self, socket: u8, remote: SocketAddr) -> [Option<Route>; 2] {
        read(&self.by_address)
            .get(&(socket, remote))
            .copied()
            .unwrap_or_default()
    }

    /// Entries held: (addresses, ufrags).
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (read(&self.by_address).len(), read(&self.by_ufrag).len())
    }

    /// No session is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_passed_on_reaches_both_until_the_old_one_leaves() {
        let demux = Demux::default();
        let address = "192.0.2.1:5000".parse().unwrap();
        let (old, new) = (Route { shard: 0, key: 1 }, Route { shard: 1, key: 2 });
        demux.add_address(0, address, old);
        demux.add_address(0, address, new);
        demux.add_address(0, address, new);
        assert_eq!(demux.by_address(0, address), [Some(old), Some(new)]);
        demux.prove_address(0, address, new);
        assert_eq!(demux.by_address(0, address), [Some(new), Some(old)]);
        assert_eq!(demux.by_address(1, address), [None, None]);
        demux.remove_address(0, address, new);
        assert_eq!(demux.by_address(0, address), [Some(old), None]);
        demux.remove_address(0, address, old);
        assert!(demux.is_empty());
    }

    #[test]
    fn claims_do_not_push_out_who_has_proven_to_be_there() {
        let demux = Demux::default();
        let address = "192.0.2.1:5000".parse().unwrap();
        let route = |key| Route { shard: 0, key };
        for key in 1..9 {
            demux.add_address(0, address, route(key));
        }
        assert_eq!(
            demux.by_address(0, address),
            [Some(route(1)), Some(route(8))]
        );
        // Known or not, who proves itself is first.
        for key in [8, 8, 3] {
            demux.prove_address(0, address, route(key));
            assert_eq!(demux.by_address(0, address)[0], Some(route(key)));
        }
        assert_eq!(demux.by_address(0, address)[1], Some(route(8)));
    }

    #[test]
    fn a_ufrag_is_known_until_it_is_removed() {
        let demux = Demux::default();
        let route = Route { shard: 0, key: 7 };
        demux.add_ufrag("abcd", route);
        assert_eq!(demux.by_ufrag("abcd"), Some(route));
        assert_eq!(demux.by_ufrag("abce"), None);
        demux.remove_ufrag("abcd");
        assert!(demux.is_empty());
    }
}
