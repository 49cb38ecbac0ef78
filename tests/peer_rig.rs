//! A viewer and a client over a bad network in virtual time: they connect, and media arrives whole.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/rig/mod.rs"]
mod rig;

use std::time::{Duration, UNIX_EPOCH};

use corertc::peer::TrackSetup;
use corertc::peer::dtls::Role;
use corertc::rtp::Media;
use corertc::rtp::codec::Codec;
use corertc::rtp::rtcp::{self, Item};

use rig::client::Packet;
use rig::stun::Answer;
use rig::wire::Weather;
use rig::{AUDIO, Frame, LONG, Rig, VIDEO};

const MS: Duration = Duration::from_millis(1);

fn of(rig: &Rig, track: TrackSetup) -> Vec<&Packet> {
    let packets = rig.client.packets.iter();
    packets
        .filter(|packet| packet.header.ssrc == track.ssrc)
        .collect()
}

/// Sends `frames` video frames of three packets from the stream's `first` on, one each 33 ms; each payload says its number.
fn play(rig: &mut Rig, first: u64, frames: u64) {
    for frame in 0..frames {
        let first_seq = first + 3 * frame;
        let payloads: Vec<[u8; 8]> = (0..3).map(|n| (first_seq + n).to_be_bytes()).collect();
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        let sent = rig.send(&Frame {
            media: Media::Video,
            first_seq,
            timestamp: (frame as u32) * 3000,
            keyframe: frame == 0,
            payloads: &payloads,
        });
        assert!(sent);
        rig.run_for(33 * MS);
    }
}

#[test]
fn both_roles_connect_under_30_per_cent_loss_with_repeats_and_reordering() {
    for role in [Role::Client, Role::Server] {
        for seed in 1..=12 {
            let weather = Weather {
                loss: 30,
                twice: 20,
                delay: 20 * MS,
                jitter: 40 * MS,
            };
            let mut rig = Rig::new(role, weather, seed);
            rig.connect();
            assert_eq!(rig.server_closed, None);
            rig.wire.weather = Weather::FAIR;
            play(&mut rig, 100, 10);
            rig.run_for(200 * MS);
            assert_eq!(of(&rig, VIDEO).len(), 30, "{role:?} {seed}");
        }
    }
}

#[test]
fn on_a_fair_network_a_client_is_connected_after_three_round_trips() {
    for role in [Role::Client, Role::Server] {
        let mut rig = Rig::new(role, Weather::FAIR, 1);
        let before = rig.now;
        rig.connect();
        assert!(rig.now - before <= 120 * MS, "{:?}", rig.now - before);
        assert_eq!(rig.counters.dtls_dropped.value(), 0);
        assert_eq!(rig.counters.stun_rejected.value(), 0);
    }
}

#[test]
fn headers_are_the_tracks_own_and_payloads_arrive_in_order() {
    let mut rig = Rig::connected();
    play(&mut rig, 1_000, 4);
    rig.run_for(100 * MS);
    let packets = of(&rig, VIDEO);
    assert_eq!(packets.len(), 12);
    for (n, packet) in packets.iter().enumerate() {
        let header = &packet.header;
        assert_eq!(header.payload_type, VIDEO.payload_type);
        assert_eq!(header.seq, VIDEO.first_seq + n as u16);
        let timestamp = VIDEO.timestamp_offset.wrapping_add(n as u32 / 3 * 3000);
        assert_eq!(header.timestamp, timestamp);
        assert_eq!(header.marker, n % 3 == 2);
        assert_eq!(packet.payload, (1_000 + n as u64).to_be_bytes());
    }
}

#[test]
fn reordered_and_repeated_packets_are_taken_once_each_and_none_is_missing() {
    let mut rig = Rig::connected();
    rig.wire.weather = Weather {
        loss: 0,
        twice: 25,
        delay: 10 * MS,
        jitter: 90 * MS,
    };
    let before = (rig.wire.to_client.1, rig.client.replayed);
    play(&mut rig, 1, 400);
    rig.run_for(200 * MS);
    let mut numbers: Vec<u64> = of(&rig, VIDEO)
        .iter()
        .map(|packet| u64::from_be_bytes(packet.payload[..].try_into().unwrap()))
        .collect();
    assert!(!numbers.is_sorted(), "the wire turned nothing around");
    numbers.sort_unstable();
    assert_eq!(numbers, (1..1201).collect::<Vec<u64>>());
    assert_eq!(rig.client.refused, 0);
    let repeats = rig.client.replayed - before.1;
    assert!(repeats > 200, "{repeats} of {}", rig.wire.to_client.1);
    assert!(repeats <= rig.wire.to_client.1 - before.0);
}

#[test]
fn the_roll_over_counter_is_right_for_three_rounds_whatever_is_lost_at_the_wraps() {
    for first_seq in [0, 0x4000, 0x7fff_u16] {
        let track = TrackSetup { first_seq, ..VIDEO };
        let mut rig = Rig::with(Role::Client, Weather::FAIR, 3, [Some(track), None]);
        rig.connect();
        let mut arrived = 0_u64;
        for n in 0..3 * 65_536_u64 {
            let index = u64::from(first_seq) + n;
            // The first 20,000 never arrive (a receiver that joins late), nor what stands around each wrap.
            let lost = n < 20_000 || (index + 700) % 65_536 < 1_400;
            let payload: &[u8] = &index.to_be_bytes();
            rig.wire.weather.loss = if lost { 100 } else { 0 };
            // The stream's own line stands anywhere.
            rig.send(&Frame {
                media: Media::Video,
                first_seq: 9_999_999 + n,
                timestamp: n as u32,
                keyframe: n == 0,
                payloads: &[payload],
            });
            arrived += u64::from(!lost);
            if n % 4_096 == 0 {
                rig.wire.weather.loss = 0;
                rig.run_for(100 * MS);
            }
        }
        rig.wire.weather.loss = 0;
        rig.run_for(100 * MS);
        assert_eq!((rig.client.refused, rig.client.replayed), (0, 0));
        assert_eq!(rig.client.packets.len() as u64, arrived);
        for packet in &rig.client.packets {
            let index = u64::from_be_bytes(packet.payload[..].try_into().unwrap());
            assert_eq!(packet.header.seq, index as u16);
        }
    }
}

#[test]
fn video_begins_with_a_key_frame_and_audio_at_once() {
    let mut rig = Rig::connected();
    let frame = |media, first_seq, keyframe| Frame {
        media,
        first_seq,
        timestamp: 0,
        keyframe,
        payloads: &[b"payload"],
    };
    assert!(!rig.send(&frame(Media::Video, 10, false)));
    assert!(rig.send(&frame(Media::Audio, 70, false)));
    assert!(!rig.viewer.started(Media::Video));
    assert!(rig.send(&frame(Media::Video, 11, true)));
    assert!(rig.send(&frame(Media::Video, 12, false)));
    rig.run_for(100 * MS);
    let sequence = |track| -> Vec<u16> { of(&rig, track).iter().map(|p| p.header.seq).collect() };
    assert_eq!(sequence(VIDEO), [VIDEO.first_seq, VIDEO.first_seq + 1]);
    assert_eq!(sequence(AUDIO), [AUDIO.first_seq]);
}

#[test]
fn nothing_is_sent_before_the_hand_shake_is_done() {
    let mut rig = Rig::new(Role::Client, Weather::FAIR, 1);
    rig.run_until("checked", LONG, |rig| !rig.client.answers.is_empty());
    assert!(!rig.viewer.begin(Media::Audio, Codec::Opus, 1, 1, true));
    assert_eq!(rig.viewer.media_path(), None);
    rig.report(UNIX_EPOCH);
    rig.viewer.goodbye(&mut rig.out);
    assert!(rig.out.send.is_empty());
}

#[test]
fn sender_reports_put_both_media_on_one_clock_exactly() {
    let mut rig = Rig::connected();
    let origin = rig.wall() - 3_600_000 * MS;
    // A picture and a sound of the same instant, 3,700 s into the stream.
    let (video, audio) = (3_700 * 90_000_u32, 3_700 * 48_000_u32);
    for (media, timestamp) in [(Media::Video, video), (Media::Audio, audio)] {
        rig.send(&Frame {
            media,
            first_seq: 1,
            timestamp,
            keyframe: true,
            payloads: &[b"one", b"three"],
        });
    }
    rig.run_for(1_234 * MS);
    rig.report(origin);
    rig.run_for(100 * MS);
    let reports = rig.sender_reports();
    assert_eq!(reports.len(), 2);
    // The wall time of each, in ns since the report's, by the receiver's arithmetic (RFC 3550 §6.4.1).
    let mut instants = Vec::new();
    for (track, rate) in [(VIDEO, 90_000_i64), (AUDIO, 48_000)] {
        let report = reports.iter().find(|r| r.ssrc == track.ssrc).unwrap();
        assert_eq!((report.packets, report.octets), (2, 8));
        assert_eq!(report.ntp, reports[0].ntp, "one instant for both");
        let rtp = of(&rig, track)[0].header.timestamp;
        let ticks = i64::from(rtp.wrapping_sub(report.rtp) as i32);
        instants.push(ticks as f64 / rate as f64);
    }
    let apart = (instants[0] - instants[1]).abs();
    assert!(apart < 1.0 / 48_000.0, "{apart} s out of sync");
    // And it is the true time: the report stands at 3,600 s + the time that passed.
    let wall = rtcp::ntp_from(rig.wall() - 100 * MS);
    assert_eq!(reports[0].ntp, wall);
    // Whoever plays them in sync needs one CNAME for both.
    let sdes = |packet: &Vec<u8>| packet.windows(5).any(|five| five == b"cname");
    assert!(rig.client.rtcp.iter().all(sdes));
}

#[test]
fn a_goodbye_names_every_track_and_begins_with_a_report() {
    let mut rig = Rig::connected();
    rig.viewer.goodbye(&mut rig.out);
    rig.work_off();
    rig.run_for(100 * MS);
    let packet = rig.client.rtcp.last().unwrap();
    assert_eq!(packet[1], 201, "RFC 3550 §6.1: a report comes first");
    let byes: Vec<u32> = rtcp::parse(packet)
        .filter_map(|item| match item.unwrap() {
            Item::Bye(bye) => Some(bye.ssrc),
            _ => None,
        })
        .collect();
    assert_eq!(byes, [VIDEO.ssrc, AUDIO.ssrc]);
}

#[test]
fn a_clients_close_notify_ends_the_servers_connection() {
    let mut rig = Rig::connected();
    rig.client.close();
    rig.run_until("closed", LONG, |rig| rig.server_closed.is_some());
    assert_eq!(rig.counters.stun_rejected.value(), 0);
}

#[test]
fn ipv6_and_mapped_addresses_are_told_as_their_owner_knows_them() {
    for (remote, mapped) in [
        ("[2001:db8::7]:4000", "[2001:db8::7]:4000"),
        ("[::ffff:192.0.2.9]:4000", "192.0.2.9:4000"),
    ] {
        let mut rig = Rig::new(Role::Client, Weather::FAIR, 1);
        rig.at = rig::path(remote);
        rig.connect();
        let Answer::Success { mapped: told, .. } = rig.client.answers[0] else {
            panic!("{:?}", rig.client.answers);
        };
        assert_eq!(told, mapped.parse().unwrap());
        assert_eq!(rig.viewer.media_path(), Some(&rig.at));
    }
}
