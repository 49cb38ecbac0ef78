//! The shards over real sockets: what is fed to a stream arrives at every viewer, in one piece and in order.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/live/mod.rs"]
mod live;
#[path = "common/rig/mod.rs"]
mod rig;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use corertc::events::EventKind;
use corertc::fanout::ViewerEvent;
use corertc::peer::dtls::{Connection, Role};
use corertc::rtp::rtcp::{self, Item};

use live::Site;
use rig::stun::Check;
use rig::{PWD, VIDEO};

/// Frames of every shape: equal packets, a shorter last one, unequal ones, one alone.
const SHAPES: [&[usize]; 7] = [
    &[1200; 5],
    &[1200, 1200, 1200, 300],
    &[100, 1200, 1200, 40, 1200],
    &[12, 13, 14, 15, 16],
    &[900, 800, 700, 700, 700],
    &[12],
    &[1100; 16],
];

#[test]
fn every_frame_arrives_whole_at_every_viewer_with_segments_and_without() {
    let mut seen = Vec::new();
    for gso in [true, false] {
        let mut site = Site::new("127.0.0.1:0", gso);
        // Enough that some come in at the socket of the shard that does not hold them.
        site.join(8);
        for round in 0..6 {
            for shape in SHAPES {
                site.feed(round == 0, shape);
            }
            site.assert_all_arrived(0);
        }
        let packets = site.fed.len() as u64 * 8;
        assert_eq!(site.counters.packets_out.value(), packets);
        let payload: usize = site.fed.iter().map(Vec::len).sum();
        let bytes = payload as u64 * 8 + packets * (12 + 16);
        assert_eq!(site.counters.bytes_out.value(), bytes);
        assert_eq!(site.counters.frames_dropped.value(), 0);
        seen.push(site.peers[0].client.packets.clone());
    }
    // Timestamps are by arrival at the stream, the rest must be the same.
    for (with, without) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(with.header.seq, without.header.seq);
        assert_eq!(with.header.marker, without.header.marker);
        assert!(with.payload == without.payload);
    }
}

#[test]
fn a_large_frame_arrives_in_order() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(3);
    site.feed(true, &[1150; 150]);
    site.feed(false, &[600; 3]);
    site.assert_all_arrived(0);
    assert!(site.peers[0].client.packets[149].header.marker);
}

#[test]
fn packets_too_large_for_one_segmented_message_arrive_as_well() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(2);
    // 64 KiB with the overhead of 16 packets; a UDP message holds 65,507 bytes.
    site.feed(true, &[4095; 16]);
    site.assert_all_arrived(0);
    assert_eq!(site.counters.frames_dropped.value(), 0);
}

#[test]
fn who_joins_later_begins_with_the_next_key_frame() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(2);
    site.feed(true, &[500; 3]);
    site.assert_all_arrived(0);
    site.join(1);
    site.feed(false, &[500; 3]);
    let from = site.fed.len();
    site.feed(true, &[500; 4]);
    let late = |site: &Site| site.peers[2].client.packets.clone();
    site.until("the key frame", |site| late(site).len() == 4);
    assert!(late(&site)[0].payload == site.fed[from]);
    assert_eq!(late(&site)[0].header.seq, VIDEO.first_seq);
    // A sender report follows the first packet at once.
    site.until("a report", |site| !site.peers[2].client.rtcp.is_empty());
}

#[test]
fn removed_viewers_hear_bye_and_close_notify_and_nothing_of_them_is_left() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(5);
    assert_eq!(site.fanout.demux_len(), (5, 5));
    site.feed(true, &[500; 3]);
    site.assert_all_arrived(0);
    site.remove_all();
    assert_eq!(site.fanout.demux_len(), (0, 0));
    site.until("all closed", |site| {
        site.peers.iter().all(|peer| peer.client.closed.is_some())
    });
    for (number, peer) in site.peers.iter().enumerate() {
        let last = peer.client.rtcp.last().unwrap();
        let bye = Item::Bye(rtcp::Bye {
            ssrc: 1000 + number as u32,
        });
        assert!(rtcp::parse(last).any(|item| item.unwrap() == bye));
        assert_eq!(peer.numbers.lock().unwrap().packets, 3);
    }
    // The stream goes on without them.
    site.feed(true, &[500; 3]);
    assert_eq!(site.counters.packets_out.value(), 15);
}

#[test]
fn what_a_viewer_asks_and_says_reaches_stream_and_session() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(4);
    for number in 0..4 {
        let mut packet = Vec::new();
        rtcp::write_pli(&mut packet, 7, 1000 + number);
        let sealed = site.peers[number as usize].client.seal(&packet);
        site.peers[number as usize].send(&sealed);
    }
    let counters = site.counters.clone();
    site.until("PLIs", |_| counters.pli_in.value() == 4);
    let event = site.events.next(Duration::from_secs(5)).unwrap();
    assert_eq!(event.kind, EventKind::KeyframeWanted);
    for peer in &mut site.peers {
        let mut packet = Vec::new();
        rtcp::write_receiver_report(&mut packet, 7, &[]);
        rtcp::write_bye(&mut packet, &[7]);
        let sealed = peer.client.seal(&packet);
        peer.send(&sealed);
    }
    site.until("BYEs", |site| {
        let left = |heard: &ViewerEvent| matches!(heard, ViewerEvent::Left);
        site.peers.iter().all(|peer| peer.heard.iter().any(left))
    });
}

#[test]
fn a_viewer_that_falls_silent_is_reported_once() {
    let idle = Duration::from_millis(400);
    let mut site = Site::with_idle_timeout("127.0.0.1:0", true, idle);
    // Its checks come every 2.5 s.
    site.join(1);
    site.until("silence", |site| !site.peers[0].heard.is_empty());
    let [ViewerEvent::Silent(time)] = site.peers[0].heard[..] else {
        panic!("{:?}", site.peers[0].heard);
    };
    assert!(time >= idle, "{time:?}");
}

#[test]
fn a_client_that_changes_its_port_is_found_and_served_there() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(4);
    for peer in &mut site.peers {
        peer.move_away();
    }
    // The checks were answered: four more addresses.
    site.until("found", |site| site.fanout.demux_len() == (8, 4));
    for peer in &mut site.peers {
        let mut packet = Vec::new();
        rtcp::write_receiver_report(&mut packet, 7, &[]);
        let sealed = peer.client.seal(&packet);
        peer.send(&sealed);
    }
    // Until the reports are in media goes to the old ports, which nobody reads any more.
    site.until("moved", |site| {
        site.peers.iter().all(|peer| {
            let local = peer.socket.local_addr().unwrap();
            peer.numbers.lock().unwrap().remote == Some(local)
        })
    });
    site.feed(true, &[700; 20]);
    site.assert_all_arrived(0);
    site.remove_all();
    assert_eq!(site.fanout.demux_len(), (0, 0));
}

#[test]
fn a_wildcard_socket_answers_from_the_address_asked_at() {
    for (listen, at) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "127.0.0.3")] {
        let mut site = Site::new(listen, true);
        let port = site.address().port();
        site.add((at.parse::<std::net::IpAddr>().unwrap(), port).into());
        site.until("connected", |site| site.peers[0].is_connected());
        site.feed(true, &[1000; 20]);
        site.assert_all_arrived(0);
        let peer = &site.peers[0];
        assert!(peer.answered_from.iter().all(|from| *from == peer.at));
    }
}

#[test]
fn a_client_that_tries_every_address_of_ours_from_one_port_connects_at_one_of_them() {
    let mut site = Site::new("0.0.0.0:0", true);
    let port = site.address().port();
    site.add(([127, 0, 0, 1], port).into());
    for last in 2..=9 {
        let peer = &mut site.peers[0];
        let check = peer.client.check(&[]);
        let _ = peer
            .socket
            .send_to(&check, SocketAddr::from(([127, 0, 0, last], port)));
    }
    site.until("connected", |site| site.peers[0].is_connected());
    // And again, now that one of them is proven.
    for last in 2..=9 {
        let peer = &mut site.peers[0];
        let check = peer.client.check(&[]);
        let _ = peer
            .socket
            .send_to(&check, SocketAddr::from(([127, 0, 0, last], port)));
    }
    let mut packet = Vec::new();
    rtcp::write_pli(&mut packet, 7, 1000);
    let sealed = site.peers[0].client.seal(&packet);
    site.peers[0].send(&sealed);
    let counters = site.counters.clone();
    site.until("its PLI", |_| counters.pli_in.value() == 1);
    assert_eq!(counters.datagrams_unknown.value(), 0);
    site.remove_all();
    assert_eq!(site.fanout.demux_len(), (0, 0));
}

#[test]
fn sessions_that_claim_a_viewers_address_by_forged_checks_do_not_cut_it_off() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(8);
    let victim = site.add(site.address());
    // Other sessions' checks come from its address, as one who can forge sources would send them.
    let claim = |site: &mut Site, numbers: std::ops::Range<usize>| {
        for number in numbers {
            let check = site.peers[number].client.check(&[]);
            site.peers[victim].send(&check);
        }
    };
    claim(&mut site, 0..4);
    site.until("connected", |site| site.peers[victim].is_connected());
    claim(&mut site, 4..8);
    let mut packet = Vec::new();
    rtcp::write_pli(&mut packet, 7, 1000 + victim as u32);
    let sealed = site.peers[victim].client.seal(&packet);
    site.peers[victim].send(&sealed);
    let counters = site.counters.clone();
    site.until("its PLI", |_| counters.pli_in.value() == 1);
    site.remove_all();
    assert_eq!(site.fanout.demux_len(), (0, 0));
}

#[test]
fn an_address_that_two_sessions_claim_gets_three_times_its_bytes_once() {
    let mut site = Site::new("127.0.0.1:0", true);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let now = Instant::now();
    let nobody = [("sha-256".to_owned(), vec![0; 32])];
    let mut hello = Connection::new(&site.identity, Role::Client, &nobody, now).unwrap();
    hello.handle_timeout(now);
    let hello = hello.poll_transmit().unwrap();
    let mut sent = 0;
    for _ in 0..2 {
        // Clients of an even number, so that both servers wait for a hello.
        site.add(site.address());
        let number = site.add(site.address()) - 1;
        for muted in &mut site.peers[number..] {
            muted.mute = true;
        }
        let check = site.peers[number].client.check(&[]);
        sent += stranger.send_to(&check, site.address()).unwrap();
    }
    site.until("both known", |site| site.fanout.demux_len() == (1, 4));
    let mut got = 0;
    let count = |got: &mut usize| {
        while let Ok(len) = stranger.recv(&mut [0; 2000]) {
            *got += len;
        }
    };
    site.until("both answered", |_| {
        count(&mut got);
        got >= 128
    });
    sent += stranger.send_to(&hello, site.address()).unwrap();
    // Retransmissions come after 100, 200 and 400 ms.
    let enough = Instant::now() + Duration::from_millis(800);
    site.until("three retransmissions", |_| {
        count(&mut got);
        Instant::now() > enough
    });
    assert!(got > 500 && got <= 3 * sent, "{got} for {sent}");
}

#[test]
fn strangers_are_counted() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(1);
    let (unknown, rejected) = (
        site.counters.datagrams_unknown.value(),
        site.counters.stun_rejected.value(),
    );
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut check = Check {
        id: [1; 12],
        ufrags: ("nobody", "client"),
        pwd: PWD,
        controlled: false,
        nominates: true,
        more: &[],
    };
    let to_nobody = check.write();
    check.ufrags.0 = &site.peers[0].ufrag;
    check.pwd = "wrong";
    let forged = check.write();
    let datagrams = [
        &to_nobody[..],
        &forged,
        &[22; 50],
        &[0x80; 50],
        &[],
        &[7; 3000],
    ];
    for datagram in datagrams {
        stranger.send_to(datagram, site.address()).unwrap();
    }
    let counters = site.counters.clone();
    site.until("counted", |_| {
        let unknown = counters.datagrams_unknown.value() - unknown;
        let rejected = counters.stun_rejected.value() - rejected;
        (unknown, rejected) == (4, 2)
    });
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 100]).is_err(), "none was answered");
}

#[test]
fn a_flood_from_strangers_and_from_a_viewer_harms_no_neighbour() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(4);
    let strangers: Vec<_> = (0..20)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let check = site.peers[0].client.check(&[]);
    for round in 0..40_usize {
        for (number, stranger) in strangers.iter().enumerate() {
            // Garbage of every first byte, cut checks, nothing at all, too much.
            let first = (round * 20 + number) as u8;
            let long = vec![first; 60_000];
            let datagrams = [&long[..200], &check[..round * 2], &[], &long[..3000], &long];
            for datagram in datagrams {
                let _ = stranger.send_to(datagram, site.address());
            }
            site.peers[0].send(&long[..1300]);
        }
        site.feed(round == 0, SHAPES[round % SHAPES.len()]);
        site.assert_all_arrived(0);
    }
    assert!(site.counters.datagrams_unknown.value() > 0);
    assert_eq!(site.fanout.demux_len(), (4, 4));
    assert_eq!(site.counters.frames_dropped.value(), 0);
    assert!(site.peers.iter().all(|peer| peer.heard.is_empty()));
    site.remove_all();
}

#[test]
fn shutdown_ends_the_threads_and_frees_the_port() {
    let mut site = Site::new("127.0.0.1:0", true);
    site.join(2);
    let address = site.address();
    assert!(UdpSocket::bind(address).is_err());
    site.fanout.shutdown();
    UdpSocket::bind(address).unwrap();
    // What comes after does nothing, and waits for nothing.
    site.feed(true, &[500; 3]);
    site.remove_all();
    site.fanout.shutdown();
}
