//! A publisher between its SRTP and its ingest, on a virtual clock: what goes on, and what feedback leaves when.

use super::*;
use crate::peer::ice::credentials::Credentials;
use crate::peer::intake::{ExtensionIds, IntakeSetup};
use crate::peer::srtp::{Inbound, Outbound, Profile};
use crate::rtp::codec::Codec;

const KEY: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];

struct Rig {
    publisher: Publisher,
    out: Outbox,
    client: (Outbound, Inbound),
    counters: Arc<Counters>,
    now: Instant,
}

fn credentials() -> Credentials {
    Credentials {
        ufrag: "ufrag".to_owned(),
        pwd: "0123456789012345678901".to_owned(),
    }
}

fn path(port: u16) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: ([192, 0, 2, 1], port).into(),
    }
}

fn keys(swapped: bool) -> Keys {
    let of = |byte: u8| (vec![byte; 16], vec![byte; 12]);
    let (ours, theirs) = if swapped { (2, 1) } else { (1, 2) };
    let ((local_key, local_salt), (remote_key, remote_salt)) = (of(ours), of(theirs));
    Keys {
        profile: Profile::AeadAes128Gcm,
        local_key,
        local_salt,
        remote_key,
        remote_salt,
    }
}

impl Rig {
    fn new(transport_cc: Option<u8>, reduced_size: bool) -> Self {
        let counters = Arc::new(Counters::default());
        let now = Instant::now();
        let video = IntakeSetup {
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: None,
            ingest_payload_type: 120,
            rids: Vec::new(),
            nack: true,
            pli: true,
        };
        let setup = PublisherSetup {
            credentials: credentials(),
            media: [Some(video), None],
            extensions: ExtensionIds {
                transport_cc,
                ..ExtensionIds::default()
            },
            reduced_size,
            remb: transport_cc.is_none(),
            ssrc: 99,
            cname: "us".into(),
        };
        let mut publisher = Publisher::new(setup, counters.clone(), now);
        publisher.link.paths.checked(path(1), 100, now);
        let mut out = Outbox::default();
        publisher
            .connect(&keys(false), path(1), now, &mut out)
            .unwrap();
        let client = keys(true);
        Self {
            publisher,
            out,
            client: (
                Outbound::new(&client).unwrap(),
                Inbound::new(&client).unwrap(),
            ),
            counters,
            now,
        }
    }

    /// Sends packet `seq` of SSRC 7; how many packets the ingest got for it.
    fn send(&mut self, seq: u16, payload: &[u8]) -> usize {
        let mut header = vec![0x90, 0x80 | 96];
        header.extend(seq.to_be_bytes());
        header.extend((u32::from(seq) * 3000).to_be_bytes());
        header.extend(7_u32.to_be_bytes());
        let number = seq.to_be_bytes();
        header.extend([0xbe, 0xde, 0, 1, 0x31, number[0], number[1], 0]);
        let mut packet = Vec::new();
        self.client
            .0
            .seal_rtp(&header, payload, u64::from(seq), &mut packet);
        self.datagram(path(1), &packet)
    }

    fn datagram(&mut self, from: Path, packet: &[u8]) -> usize {
        self.publisher
            .datagram(from, packet, true, self.now, &mut self.out);
        let got = self.out.published.packets().count();
        self.out.published.clear();
        got
    }

    /// Passes time; the plain RTCP datagrams that left.
    fn pass(&mut self, ms: u64) -> Vec<Vec<u8>> {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.publisher.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.publisher.handle_timeout(self.now, &mut self.out);
        }
        self.now = end;
        let sent = self.out.send.drain(..).collect::<Vec<_>>();
        let client = &mut self.client.1;
        let opened = sent.into_iter().map(|(to, mut packet)| {
            assert_eq!(to, path(1));
            client.open_rtcp(&mut packet).unwrap();
            packet
        });
        opened.collect()
    }
}

fn count(datagrams: &[Vec<u8>], wanted: impl Fn(&Item<'_>) -> bool) -> usize {
    let items = datagrams.iter().flat_map(|datagram| rtcp::parse(datagram));
    items.filter(|item| wanted(item.as_ref().unwrap())).count()
}

#[test]
fn feedback_leaves_in_its_time() {
    let mut rig = Rig::new(Some(3), true);
    assert_eq!(rig.send(1, &KEY), 1);
    let mut sent = Vec::new();
    for n in 2..50 {
        // Every tenth is lost.
        if n % 10 != 0 {
            rig.send(n, &[0x10, 0x11, 2]);
        }
        sent.extend(rig.pass(5));
    }
    sent.extend(rig.pass(800));
    assert_eq!(count(&sent, |item| matches!(item, Item::ReportBlock(_))), 1);
    assert!(count(&sent, |item| matches!(item, Item::TransportCc(_))) >= 1);
    assert!(count(&sent, |item| matches!(item, Item::Nack(_))) >= 4);
    assert_eq!(count(&sent, |item| matches!(item, Item::Remb(_))), 0);
    // The holes stayed: a key frame is asked for.
    assert!(
        count(
            &sent,
            |item| matches!(item, Item::Pli(pli) if pli.media_ssrc == 7)
        ) >= 1
    );
    assert_eq!(rig.counters.nack_out.value(), 4 * 5);
    assert!(rig.counters.pli_out.value() >= 1);
    assert!(rig.publisher.loss_percent() > Some(5.0));
    // Reduced size (RFC 5506): feedback alone begins a datagram.
    assert!(sent.iter().any(|datagram| datagram[1] == 205));
}

#[test]
fn without_reduced_size_every_datagram_is_a_compound_and_remb_stands_in_for_transport_cc() {
    let mut rig = Rig::new(None, false);
    rig.send(1, &KEY);
    rig.send(3, &[0x10, 0x11, 2]);
    let sent = rig.pass(2000);
    assert!(sent.len() >= 4 && sent.iter().all(|datagram| datagram[1] == 201));
    assert_eq!(count(&sent, |item| matches!(item, Item::Remb(_))), 2);
    assert_eq!(count(&sent, |item| matches!(item, Item::TransportCc(_))), 0);
}

#[test]
fn what_does_not_authenticate_is_refused_and_counted() {
    let mut rig = Rig::new(Some(3), true);
    let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
    packet.extend([0; 40]);
    assert_eq!(rig.datagram(path(1), &packet), 0);
    assert_eq!(rig.datagram(path(2), &packet), 0, "an unknown address");
    packet[1] = 200;
    assert_eq!(rig.datagram(path(1), &packet), 0);
    assert_eq!(rig.counters.srtp_rejected.value(), 3);
    assert_eq!(rig.publisher.received(), (0, 0));
}

/// C032: FFmpeg as DTLS server loses our first flight and says nothing more.
#[test]
fn a_first_flight_may_be_repeated_to_an_address_that_sent_one_check() {
    let (counters, now) = (Arc::new(Counters::default()), Instant::now());
    let mut link = Link::new(credentials(), counters, now).granted(GRANT);
    link.paths.checked(path(1), 100, now);
    let mut out = Outbox::default();
    for _ in 0..20 {
        link.transmit(Some(path(1)), vec![22; 150], &mut out);
    }
    // Three times a hundred bytes, then the grant of 1200.
    assert_eq!(out.send.len(), 2 + 8);
    link.transmit(Some(path(9)), vec![22; 150], &mut out);
    assert_eq!(out.send.len(), 2 + 8, "never to an address nobody checked");
}

#[test]
fn a_source_is_asked_for_a_key_frame_twice_a_second_whoever_wants_it() {
    let mut rig = Rig::new(Some(3), true);
    let mut asked = |ssrcs: &[u32], ms| {
        let mut keyframes: Vec<(u32, bool)> = ssrcs.iter().map(|ssrc| (*ssrc, true)).collect();
        let now = rig.now + Duration::from_millis(ms);
        rig.publisher.throttle(&mut keyframes, now);
        keyframes.len()
    };
    assert_eq!(asked(&[1], 0), 1);
    assert_eq!(asked(&[1, 2], 100), 1);
    assert_eq!(asked(&[1, 2], 440), 0);
    assert_eq!(asked(&[1, 2], 1000), 2);
}

/// C025: FFmpeg 8.0 sends no STUN once it is connected.
#[test]
fn media_alone_keep_a_publisher_alive() {
    let mut rig = Rig::new(Some(3), true);
    rig.now += Duration::from_secs(60);
    rig.send(1, &KEY);
    assert_eq!(rig.publisher.heard(), rig.now);
}
