//! Instant start and repair over real sockets: who joins late gets the pictures kept, then what is live, each packet once.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/live/mod.rs"]
mod live;
#[path = "common/rig/mod.rs"]
mod rig;

use std::time::{Duration, Instant};

use corertc::events::EventKind;
use corertc::rtp::rtcp;

use live::Site;
use live::peer::RTX_TYPE;
use rig::VIDEO;
use rig::client::Packet;

const LONG: Duration = Duration::from_secs(60);

fn gop(site: &mut Site, frames: usize) {
    for frame in 0..frames {
        site.feed(frame == 0, &[1200, 1200, 600]);
    }
}

/// The packets of the track itself.
fn originals(site: &Site, number: usize) -> Vec<Packet> {
    let packets = &site.peers[number].client.packets;
    let own = packets
        .iter()
        .filter(|it| it.header.payload_type != RTX_TYPE);
    own.cloned().collect()
}

/// RFC 4585 §6.2.1, one pair per packet.
fn nack(media_ssrc: u32, seqs: &[u16]) -> Vec<u8> {
    let mut packet = vec![0x81, 205, 0, seqs.len() as u8 + 2, 0, 0, 0, 7];
    packet.extend(media_ssrc.to_be_bytes());
    for seq in seqs {
        packet.extend(seq.to_be_bytes());
        packet.extend([0, 0]);
    }
    packet
}

fn ask(site: &mut Site, number: usize, seqs: &[u16]) {
    let peer = &mut site.peers[number];
    let sealed = peer.client.seal(&nack(1000 + number as u32, seqs));
    peer.send(&sealed);
}

#[test]
fn who_joins_in_the_middle_gets_all_since_the_key_frame_and_then_what_is_live() {
    let mut site = Site::keeping(16 << 20, LONG);
    gop(&mut site, 30);
    let from = site.fed.len();
    gop(&mut site, 100);
    site.join(3);
    // Live frames come while the viewers still catch up: behind what was kept, none twice, none left out.
    for _ in 0..50 {
        site.feed(false, &[1200, 300]);
        std::thread::sleep(Duration::from_millis(1));
    }
    site.assert_all_arrived(from);
    let packets = &site.peers[0].client.packets;
    assert_eq!(packets[0].header.seq, VIDEO.first_seq);
    // A picture is shown for as long as it was: the player hurries by itself.
    let step = packets[3]
        .header
        .timestamp
        .wrapping_sub(packets[0].header.timestamp);
    assert!(step < 90_000, "{step}");
    for _ in 0..10 {
        site.feed(false, &[700; 3]);
    }
    site.assert_all_arrived(from);
    assert_eq!(site.counters.frames_dropped.value(), 0);
}

#[test]
fn the_pictures_kept_are_paced() {
    let mut site = Site::keeping(16 << 20, LONG);
    // 750 packets, 750 kB.
    gop(&mut site, 250);
    site.add(site.address());
    site.until("the first packet", |site| {
        !site.peers[0].client.packets.is_empty()
    });
    let began = Instant::now();
    site.until("the last one", |site| {
        site.peers[0].client.packets.len() == 750
    });
    let took = began.elapsed();
    // 20 Mbit/s make 300 ms of it; a fast stream (this one has no rate yet) would be sent faster.
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert_eq!(site.peers[0].client.refused, 0);
}

#[test]
fn a_live_key_frame_makes_live_whoever_still_catches_up() {
    let mut site = Site::keeping(64 << 20, LONG);
    // 2.4 MB: about a second.
    gop(&mut site, 800);
    site.add(site.address());
    site.until("it has begun", |site| {
        site.peers[0].client.packets.len() > 100
    });
    let keyframe = site.fed.len();
    site.feed(true, &[1200, 1200, 77]);
    site.feed(false, &[78]);
    let last = site.fed.last().unwrap().clone();
    site.until("the live frame", |site| {
        let packets = &site.peers[0].client.packets;
        packets.last().is_some_and(|packet| packet.payload == last)
    });
    let packets = &site.peers[0].client.packets;
    assert!(
        packets.len() < 2000,
        "the rest was left out: {}",
        packets.len()
    );
    let kept = packets.len() - 4;
    for (number, packet) in packets.iter().enumerate() {
        let seq = VIDEO.first_seq.wrapping_add(number as u16);
        assert_eq!(packet.header.seq, seq, "no gap that looks like loss");
        let fed = if number < kept {
            number
        } else {
            keyframe + number - kept
        };
        assert!(packet.payload == site.fed[fed], "packet {number}");
    }
    assert!(packets[kept - 1].header.marker, "no frame is cut");
}

#[test]
fn a_gop_over_the_limits_is_not_sent_and_the_picture_begins_with_the_next_key_frame() {
    let mut site = Site::keeping(20_000, LONG);
    gop(&mut site, 20);
    site.join(1);
    site.feed(false, &[500]);
    let from = site.fed.len();
    gop(&mut site, 3);
    site.assert_all_arrived(from);
    // What came since fits: the next viewer starts with it at once.
    site.join(1);
    site.assert_all_arrived(from);
}

#[test]
fn who_is_outrun_by_the_stream_waits_for_the_next_key_frame() {
    let mut site = Site::keeping(6 << 20, LONG);
    // 5 MB, two seconds; then the limit is passed, and what the viewer has not read yet is let go.
    gop(&mut site, 1660);
    site.add(site.address());
    site.until("it has begun", |site| {
        site.peers[0].client.packets.len() > 50
    });
    for _ in 0..700 {
        site.feed(false, &[1200, 1200, 600]);
    }
    let keyframe = site.fed.len();
    gop(&mut site, 2);
    site.until("the key frame", |site| {
        let last = &site.peers[0].client.packets.last().unwrap().payload;
        last == site.fed.last().unwrap()
    });
    let packets = &site.peers[0].client.packets;
    let kept = packets.len() - 6;
    assert!(kept < 4900, "{kept}");
    for (number, packet) in packets.iter().enumerate() {
        let seq = VIDEO.first_seq.wrapping_add(number as u16);
        assert_eq!(packet.header.seq, seq, "no gap that looks like loss");
        let fed = if number < kept {
            number
        } else {
            keyframe + number - kept
        };
        assert!(packet.payload == site.fed[fed], "packet {number}");
    }
}

#[test]
fn what_a_viewer_lost_comes_again_as_rtx() {
    let mut site = Site::keeping(0, LONG);
    site.rtx = true;
    site.join(1);
    gop(&mut site, 40);
    site.until("all", |site| site.peers[0].client.packets.len() == 120);
    // VIDEO.first_seq is 0x7ffe: the second one of these is behind 2^15.
    let seqs = [VIDEO.first_seq, VIDEO.first_seq + 5, VIDEO.first_seq + 119];
    ask(&mut site, 0, &seqs);
    site.until("again", |site| site.peers[0].client.packets.len() == 123);
    let all = site.peers[0].client.packets.clone();
    for (number, place) in [0, 5, 119].into_iter().enumerate() {
        let (again, original) = (&all[120 + number], &all[place]);
        assert_eq!(again.header.ssrc, 2000);
        assert_eq!(again.header.payload_type, RTX_TYPE);
        assert_eq!(again.header.seq, 0x7fff + number as u16);
        assert_eq!(again.header.timestamp, original.header.timestamp);
        assert_eq!(again.header.marker, original.header.marker);
        assert_eq!(again.payload[..2], original.header.seq.to_be_bytes());
        assert!(again.payload[2..] == original.payload);
    }
    assert_eq!(site.counters.nack_in.value(), 3);
    assert_eq!(site.counters.repaired.value(), 3);
    assert_eq!(site.counters.nack_unrepaired.value(), 0);
    // Live media goes on in its own numbers.
    site.feed(false, &[900; 2]);
    site.until("live", |site| originals(site, 0).len() == 122);
    assert_eq!(originals(&site, 0)[121].header.seq, VIDEO.first_seq + 121);
}

#[test]
fn a_viewer_without_rtx_gets_the_very_packet_again() {
    let mut site = Site::keeping(0, LONG);
    site.join(1);
    gop(&mut site, 4);
    site.assert_all_arrived(0);
    ask(&mut site, 0, &[VIDEO.first_seq + 3, VIDEO.first_seq + 4]);
    // It had them: its SRTP knows them again and takes no second one.
    site.until("again", |site| site.peers[0].client.replayed == 2);
    assert_eq!(site.counters.repaired.value(), 2);
    assert_eq!(site.peers[0].client.refused, 0);
}

#[test]
fn a_flood_of_requests_is_bounded_and_harms_no_neighbour() {
    let mut site = Site::keeping(16 << 20, LONG);
    site.rtx = true;
    site.join(4);
    gop(&mut site, 50);
    site.until("all", |site| {
        site.peers
            .iter()
            .all(|peer| peer.client.packets.len() == 150)
    });
    let began = Instant::now();
    let everything: Vec<u16> = (0..150).map(|n| VIDEO.first_seq + n).collect();
    for round in 0..100 {
        ask(&mut site, 0, &everything);
        site.feed(false, &[800; 2]);
        // Numbers never sent, and such from long ago.
        ask(
            &mut site,
            0,
            &[round, VIDEO.first_seq - 1, VIDEO.first_seq + 10_000],
        );
        let due = 152 + 2 * usize::from(round);
        site.until("live media", |site| {
            (0..4).all(|number| originals(site, number).len() == due)
        });
    }
    let counters = site.counters.clone();
    site.until("every request is settled", |_| {
        counters.repaired.value() + counters.nack_unrepaired.value() == counters.nack_in.value()
    });
    assert!(counters.repaired.value() > 50);
    let bytes = counters.repaired.value() as f64 * 1000.0;
    let most = 131_072.0 + 600_000.0 * began.elapsed().as_secs_f64();
    assert!(bytes <= most * 1.2, "{bytes} of {most}");
    assert_eq!(counters.frames_dropped.value(), 0);
}

fn pli(site: &mut Site) {
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, 7, 1000);
    let sealed = site.peers[0].client.seal(&pli);
    site.peers[0].send(&sealed);
}

#[test]
fn a_wish_for_a_key_frame_that_nothing_kept_can_answer_goes_to_the_host() {
    let mut site = Site::keeping(0, LONG);
    site.join(1);
    gop(&mut site, 3);
    site.assert_all_arrived(0);
    pli(&mut site);
    let counters = site.counters.clone();
    site.until("the PLI", |_| counters.pli_in.value() == 1);
    let kinds = || {
        site.events
            .next(Duration::from_secs(5))
            .map(|event| event.kind)
    };
    assert!(std::iter::from_fn(kinds).any(|kind| kind == EventKind::KeyframeWanted));
    site.feed(false, &[100]);
    site.assert_all_arrived(0);
}

#[test]
fn a_wish_for_a_key_frame_is_answered_with_what_is_kept_and_a_flood_of_them_now_and_then() {
    let mut site = Site::keeping(16 << 20, LONG);
    site.join(1);
    gop(&mut site, 20);
    site.assert_all_arrived(0);
    let began = Instant::now();
    // A wish every millisecond or so: the first is answered 2 s after the beginning, the next 4 s after that.
    site.until("4 s", |site| {
        pli(site);
        began.elapsed() > Duration::from_secs(4)
    });
    let packets = &site.peers[0].client.packets;
    assert_eq!(packets.len(), 120);
    for (number, packet) in packets.iter().enumerate() {
        let seq = VIDEO.first_seq.wrapping_add(number as u16);
        assert_eq!(packet.header.seq, seq, "new numbers");
        assert!(packet.payload == site.fed[number % 60]);
        let original = &packets[number % 60].header;
        assert_eq!(packet.header.timestamp, original.timestamp);
    }
    assert!(site.counters.pli_in.value() > 100);
    site.feed(false, &[300]);
    let last = site.fed.last().unwrap().clone();
    site.until("live media", |site| {
        site.peers[0]
            .client
            .packets
            .last()
            .is_some_and(|it| it.payload == last)
    });
    assert_eq!(site.peers[0].client.packets.len(), 121);
}
