//! Addresses: what answers announce, and that a check is answered from the address it was asked at.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use corertc::config::Settings;
use whep_rig::checks::{Ice, check, ice};
use whep_rig::*;

/// A session of a subsystem with these addresses.
fn session(listen: &[&str], announce: &[&str], act: impl FnOnce(&Ice)) {
    let settings = Settings {
        udp_listen: listen.iter().map(|text| text.parse().unwrap()).collect(),
        announce: announce.iter().map(|text| text.parse().unwrap()).collect(),
        workers: 2,
        ..settings()
    };
    let subsystem = subsystem(settings);
    let _feed = fed(&subsystem, "cam", true, true);
    let created = play_once_live(&subsystem, "/whep/cam");
    act(&ice(created.body()));
}

fn announced(ice: &Ice) -> Vec<IpAddr> {
    ice.candidates.iter().map(SocketAddr::ip).collect()
}

fn from(ip: &str) -> UdpSocket {
    UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap()
}

/// Whether this machine has an IPv6 loopback.
fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

/// A client that asks 127.0.0.2 takes no answer from 127.0.0.1: a wildcard socket must say where it answers from.
#[test]
fn a_wildcard_socket_answers_from_the_address_it_was_asked_at() {
    session(&["0.0.0.0:0"], &["127.0.0.1"], |ice| {
        let port = ice.candidates[0].port();
        for ip in ["127.0.0.1", "127.0.0.2", "127.9.9.9"] {
            let asked = SocketAddr::new(ip.parse().unwrap(), port);
            assert_eq!(check(&from("127.0.0.1"), asked, ice, true), Some(asked));
        }
    });
}

#[test]
fn a_dual_stack_socket_serves_both_families() {
    if !has_ipv6() {
        return;
    }
    session(&["[::]:0"], &["2001:db8::7", "198.51.100.7"], |ice| {
        // P090, C023: IPv4 first, whatever the configuration's order.
        let expected: Vec<IpAddr> = vec![
            "198.51.100.7".parse().unwrap(),
            "2001:db8::7".parse().unwrap(),
        ];
        assert_eq!(announced(ice), expected);
        let port = ice.candidates[0].port();
        for (client, server) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.2"),
            ("::1", "::1"),
        ] {
            let asked = SocketAddr::new(server.parse().unwrap(), port);
            assert_eq!(check(&from(client), asked, ice, true), Some(asked));
        }
    });
}

#[test]
fn several_sockets_are_all_announced_and_all_answer() {
    session(&["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"], &[], |ice| {
        assert_eq!(ice.candidates.len(), 3);
        let ports: std::collections::BTreeSet<u16> =
            ice.candidates.iter().map(SocketAddr::port).collect();
        assert_eq!(ports.len(), 3, "three sockets, three ports: {ports:?}");
        for asked in &ice.candidates {
            assert_eq!(check(&from("127.0.0.1"), *asked, ice, true), Some(*asked));
        }
    });
}

/// NAT1TO1_IPS: each address with the port of every socket that can carry it, nothing else.
#[test]
fn announced_addresses_replace_the_bound_ones() {
    let listen: &[&str] = match has_ipv6() {
        true => &["127.0.0.1:0", "[::1]:0"],
        false => &["127.0.0.1:0"],
    };
    let public = ["2001:db8::1", "192.0.2.1", "192.0.2.2"];
    session(listen, &public, |ice| {
        let mut expected = vec!["192.0.2.1", "192.0.2.2"];
        if has_ipv6() {
            expected.push("2001:db8::1");
        }
        let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(announced(ice), expected);
    });
}

/// A viewer's change of address and port: checks from the new place are answered there at once.
#[test]
fn a_check_from_a_new_place_is_answered_there() {
    session(&["127.0.0.1:0"], &[], |ice| {
        let to = ice.candidates[0];
        for ip in ["127.0.0.1", "127.0.0.1", "127.0.0.5"] {
            assert_eq!(check(&from(ip), to, ice, true), Some(to));
        }
    });
}
