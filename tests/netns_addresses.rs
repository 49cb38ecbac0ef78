//! A wildcard socket on a machine with several addresses: hand-shake and media come from the one that the client asked.
//! Behind a router nothing else would reach it: a mapping is for one address.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "common/live/mod.rs"]
mod live;
#[path = "common/rig/mod.rs"]
mod rig;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use common::netns::Network;
use live::Site;

/// A client behind the router for each of the server's addresses `ips`, of a server that listens on `listen`.
fn each_is_answered_from_where_it_asked(network: &Network, listen: &str, ips: &[IpAddr]) {
    let mut site = Site::new(listen, true);
    let port = site.address().port();
    for ip in ips {
        let index = site.add(SocketAddr::new(*ip, port));
        let any = match ip {
            IpAddr::V4(_) => "0.0.0.0:0",
            IpAddr::V6(_) => "[::]:0",
        };
        let socket = network.clients().enter(|| UdpSocket::bind(any)).unwrap();
        socket.set_nonblocking(true).unwrap();
        site.peers[index].socket = socket;
    }
    site.until("all connected", |site| {
        site.peers.iter().all(|peer| peer.is_connected())
    });
    for frame in 0..20 {
        site.feed(frame == 0, &[1100, 1100, 300]);
        site.until("the frame", |site| {
            let packets = (frame + 1) * 3;
            let all = |peer: &live::peer::Peer| peer.client.packets.len() >= packets;
            site.peers.iter().all(all)
        });
    }
    site.assert_all_arrived(0);
    for (peer, ip) in site.peers.iter().zip(ips) {
        assert!(peer.answered_from.len() > 60);
        for from in &peer.answered_from {
            assert_eq!(*from, SocketAddr::new(*ip, port));
        }
    }
}

#[test]
fn an_ipv4_wildcard_socket_sends_media_from_the_address_it_was_asked_at() {
    let Some(network) = Network::new() else {
        return;
    };
    let ips = [network.server(), network.second_server()];
    each_is_answered_from_where_it_asked(&network, "0.0.0.0:0", &ips);
}

#[test]
fn a_dual_stack_wildcard_socket_sends_media_from_the_address_it_was_asked_at() {
    let Some(network) = Network::new() else {
        return;
    };
    let mut ips = vec![network.server(), network.second_server()];
    if common::netns::has_ipv6() {
        ips.extend(network.add_ipv6().map(IpAddr::V6));
    }
    each_is_answered_from_where_it_asked(&network, "[::]:0", &ips);
}
