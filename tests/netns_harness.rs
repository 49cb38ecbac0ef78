//! The networks that tests make: without them working, no test in one says anything.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use common::browser::Browser;
use common::netns::{Network, Towards};
use common::one_at_a_time;
use common::site::Site;

/// A socket of the server and one of a client that knows it.
fn sockets(network: &Network) -> (UdpSocket, UdpSocket) {
    let server = UdpSocket::bind((network.server(), 0)).unwrap();
    let client = network
        .clients()
        .enter(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    for socket in [&server, &client] {
        let second = Some(Duration::from_secs(1));
        socket.set_read_timeout(second).unwrap();
    }
    (server, client)
}

fn seen_from(server: &UdpSocket, client: &UdpSocket) -> SocketAddr {
    client.send(b"hello").unwrap();
    server.recv_from(&mut [0; 10]).unwrap().1
}

#[test]
fn a_client_is_seen_behind_its_router_whose_port_and_address_change() {
    let Some(network) = Network::new() else {
        return;
    };
    let (server, client) = sockets(&network);
    let first = seen_from(&server, &client);
    assert_eq!(first, seen_from(&server, &client), "a mapping stays");
    server.send_to(b"down", first).unwrap();
    client.recv(&mut [0; 10]).unwrap();

    network.change_ports();
    let second = seen_from(&server, &client);
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
    server.send_to(b"down", first).unwrap();
    assert!(
        client.recv(&mut [0; 10]).is_err(),
        "the old mapping is gone"
    );
    server.send_to(b"down", second).unwrap();
    client.recv(&mut [0; 10]).unwrap();

    network.change_address();
    let third = seen_from(&server, &client);
    assert_ne!(third.ip(), second.ip());
    server.send_to(b"down", third).unwrap();
    client.recv(&mut [0; 10]).unwrap();
}

#[test]
fn nothing_is_left_of_a_network_whose_test_panicked() {
    let Some(network) = Network::new() else {
        return;
    };
    let names = network.names();
    let there = || {
        let said = |what: &[&str]| Command::new("ip").args(what).output().unwrap().stdout;
        let all = [said(&["-br", "link"]), said(&["netns"])].concat();
        let all = String::from_utf8(all).unwrap();
        let words: Vec<&str> = all.split([' ', '@', '\n']).collect();
        names.each_ref().map(|name| words.contains(&name.as_str()))
    };
    assert_eq!(there(), [true; 3]);
    let panicked = std::thread::spawn(move || {
        let _network = network;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.join().is_err());
    assert_eq!(there(), [false; 3]);
}

#[test]
fn loss_is_counted_and_ends() {
    let Some(network) = Network::new() else {
        return;
    };
    let (server, client) = sockets(&network);
    let at = seen_from(&server, &client);
    client.set_nonblocking(true).unwrap();
    let arrived = || {
        for _ in 0..2000 {
            server.send_to(b"down", at).unwrap();
        }
        let mut count = 0;
        while client.recv(&mut [0; 10]).is_ok() {
            count += 1;
        }
        count
    };
    network.lose(Towards::Clients, 20);
    let came = arrived();
    let lost = network.lost(Towards::Clients);
    assert!((200..700).contains(&lost), "{lost} lost of 2000");
    assert!(came + lost <= 2000);
    network.lose(Towards::Clients, 0);
    arrived();
    assert_eq!(network.lost(Towards::Clients), 0);
}

#[test]
fn a_narrow_link_holds_packets_up_and_then_loses_them() {
    let Some(network) = Network::new() else {
        return;
    };
    let (server, client) = sockets(&network);
    let at = seen_from(&server, &client);
    network.narrow(Towards::Clients, 1_000_000, 100);
    // 12,500 bytes wait, beyond the burst.
    for _ in 0..50 {
        server.send_to(&[0; 1200], at).unwrap();
    }
    let came = std::iter::from_fn(|| client.recv(&mut [0; 1500]).ok()).count();
    assert!((5..30).contains(&came), "{came} of 50 came");
    let queue = network.queue(Towards::Clients);
    assert!(queue.contains("dropped"), "{queue}");
    network.widen(Towards::Clients);
}

#[test]
fn a_browser_lives_in_a_network_and_its_page_is_a_secure_context() {
    let _turn = one_at_a_time();
    let Some(network) = Network::new() else {
        return;
    };
    let host = network.host(|_| {});
    let site = Site::start_in(network.clients());
    let browser = Browser::start_in(network.clients());
    browser.goto(&site.origin());
    assert_eq!(browser.run("return window.isSecureContext", vec![]), true);
    let answer = browser.post("one", &host.url("/whep/nothing"), &["video"]);
    assert_eq!(answer["status"], 404, "{answer}");
}
