//! Which of our addresses an answer announces as host candidates (RFC 8445 §5.1.1).

use std::net::{IpAddr, SocketAddr};

use crate::config::carries;
use crate::net::interface_addresses;

/// The candidates, best first: IPv4, then IPv6, loopback last. `announce` (NAT1TO1_IPS, PUBLIC_IP) wins over the
/// bound addresses; a wildcard stands for every interface's address.
pub(super) fn candidates(bound: &[SocketAddr], announce: &[IpAddr]) -> Vec<SocketAddr> {
    let mut interfaces = None;
    let mut candidates = Vec::new();
    for socket in bound {
        let reachable = |ip: &&IpAddr| carries(socket, **ip);
        let addresses: Vec<IpAddr> = if !announce.is_empty() {
            announce.iter().filter(reachable).copied().collect()
        } else if socket.ip().is_unspecified() {
            let interfaces: &Vec<IpAddr> = interfaces.get_or_insert_with(interface_addresses);
            interfaces.iter().filter(reachable).copied().collect()
        } else {
            vec![socket.ip()]
        };
        for ip in addresses {
            let candidate = SocketAddr::new(ip, socket.port());
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
    }
    candidates.sort_by_key(|candidate| (candidate.ip().is_loopback(), candidate.is_ipv6()));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bound: &[&str], announce: &[&str]) -> Vec<String> {
        let bound: Vec<_> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let announce: Vec<_> = announce.iter().map(|text| text.parse().unwrap()).collect();
        candidates(&bound, &announce)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn announced_addresses_win_each_on_the_sockets_that_carry_it() {
        let announced = ["2001:db8::1", "192.0.2.1"];
        assert_eq!(list(&["0.0.0.0:5000"], &announced), ["192.0.2.1:5000"]);
        assert_eq!(
            list(&["[::]:5000"], &announced),
            ["192.0.2.1:5000", "[2001:db8::1]:5000"]
        );
        let both = ["10.0.0.1:5000", "[2001:db8::9]:6000"];
        assert_eq!(
            list(&both, &announced),
            ["192.0.2.1:5000", "[2001:db8::1]:6000"]
        );
    }

    #[test]
    fn a_bound_address_stands_for_itself_and_a_wildcard_for_every_interface() {
        assert_eq!(
            list(&["127.0.0.1:5000", "10.0.0.1:5000"], &[]),
            ["10.0.0.1:5000", "127.0.0.1:5000"]
        );
        let wildcard = list(&["0.0.0.0:5000"], &[]);
        assert!(
            wildcard.last().is_some_and(|last| last == "127.0.0.1:5000"),
            "{wildcard:?}"
        );
        assert!(
            wildcard
                .iter()
                .all(|candidate| candidate.ends_with(":5000"))
        );
    }
}
