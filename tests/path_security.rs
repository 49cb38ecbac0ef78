//! Who can move media, and how much an address gets before it has proven anything: checks are recorded and replayed,
//! datagrams forged, and every byte to the attacker's address is counted.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/rig/mod.rs"]
mod rig;

use std::collections::HashSet;
use std::time::Duration;

use corertc::net::Path;
use corertc::peer::dtls::Role;
use corertc::peer::srtp::{Keys, Profile};
use corertc::rtp::Media;
use corertc::rtp::rtcp;

use rig::wire::Weather;
use rig::{Frame, LONG, Rig, path};

const MS: Duration = Duration::from_millis(1);

fn elsewhere(port: u16) -> Path {
    Path {
        remote: ([203, 0, 113, 66], port).into(),
        ..path("203.0.113.66:1")
    }
}

fn report() -> Vec<u8> {
    let mut plain = Vec::new();
    rtcp::write_receiver_report(&mut plain, 7, &[]);
    plain
}

fn play(rig: &mut Rig, seq: u64) {
    let payload: &[u8] = &[1; 1000];
    assert!(rig.send(&Frame {
        media: Media::Video,
        first_seq: seq,
        timestamp: seq as u32 * 3000,
        keyframe: true,
        payloads: &[payload; 4],
    }));
}

/// What one who listens and can send from anywhere does: everything recorded comes again from `from`, with garbage.
struct Attack {
    sent: u64,
}

impl Attack {
    fn send(&mut self, rig: &mut Rig, from: Path, bytes: &[u8]) {
        self.sent += bytes.len() as u64;
        rig.arrive(from, bytes);
        self.check(rig, from);
    }

    fn check(&self, rig: &Rig, from: Path) {
        let got = rig.sent_to.get(&from.remote).copied().unwrap_or(0);
        assert!(got <= 3 * self.sent, "{got} for {} bytes", self.sent);
    }
}

#[test]
fn a_replayed_check_never_moves_media_and_gets_at_most_three_times_its_bytes() {
    let mut rig = Rig::connected();
    let home = rig.at;
    let check = rig.client.check(&[]);
    rig.arrive(home, &check);
    let mut attack = Attack { sent: 0 };
    for round in 0..200 {
        attack.send(&mut rig, elsewhere(9), &check);
        play(&mut rig, 1 + round * 4);
        rig.run_for(MS);
        assert_eq!(rig.viewer.media_path(), Some(&home));
    }
    // Answers to checks, nothing else.
    let got = rig.sent_to[&elsewhere(9).remote];
    assert!(got > 0 && got <= attack.sent, "{got} of {}", attack.sent);
}

#[test]
fn a_replayed_first_flight_and_every_retransmission_stay_within_three_times_the_bytes() {
    for role in [Role::Client, Role::Server] {
        let mut rig = Rig::new(role, Weather::FAIR, 1);
        let mut attack = Attack { sent: 0 };
        let is_hello = |bytes: &&Vec<u8>| bytes[0] == 22;
        if role == Role::Client {
            rig.run_until("a first flight", LONG, |rig| {
                rig.overheard.iter().any(|bytes| is_hello(&bytes))
            });
        }
        // From here on the client's own are lost: whatever the server says, it says to the other.
        rig.wire.weather.loss = 100;
        let check = rig.client.check(&[]);
        attack.send(&mut rig, elsewhere(9), &check);
        if let Some(hello) = rig.overheard.iter().find(is_hello).cloned() {
            attack.send(&mut rig, elsewhere(9), &hello);
        }
        for _ in 0..30_000 {
            rig.run_for(MS);
            attack.check(&rig, elsewhere(9));
        }
        // It got what was allowed, and there was more to say.
        let left = 3 * attack.sent - rig.sent_to[&elsewhere(9).remote];
        assert!(left < 700, "{role:?}: {left}");
        for _ in 0..15 {
            attack.send(&mut rig, elsewhere(9), &[22, 254, 253, 0, 0]);
            attack.send(&mut rig, elsewhere(9), &[0x81, 201, 0, 1, 0, 0, 0, 1]);
            attack.send(&mut rig, elsewhere(9), &[]);
            rig.run_for(MS);
        }
        let left = 3 * attack.sent - rig.sent_to[&elsewhere(9).remote];
        assert!(left < 700, "{role:?}: {left}");
    }
}

#[test]
fn errors_in_answer_to_replayed_checks_are_within_three_times_the_bytes() {
    let mut rig = Rig::new(Role::Client, Weather::FAIR, 1);
    let mut attack = Attack { sent: 0 };
    let empty: Vec<(u16, &[u8])> = (0x7f00..0x7f40).map(|kind| (kind, &[][..])).collect();
    let checks = [rig.client.check(&empty), rig.client.controlled_check()];
    for round in 0..200 {
        attack.send(&mut rig, elsewhere(9), &checks[round % 2]);
    }
}

#[test]
fn one_address_that_may_get_no_more_does_not_hold_up_the_hand_shake_of_another() {
    for (role, seed) in [Role::Client, Role::Server]
        .into_iter()
        .flat_map(|role| (1..=8).map(move |seed| (role, seed)))
    {
        // Losses, so that flights come again while the other address is the one heard last.
        let weather = Weather {
            loss: 40,
            ..Weather::FAIR
        };
        let mut rig = Rig::new(role, weather, seed);
        let check = rig.client.check(&[]);
        let mut attack = Attack { sent: 0 };
        // The check comes from elsewhere first, and all through the hand-shake DTLS bytes that mean nothing.
        attack.send(&mut rig, elsewhere(9), &check);
        let garbage = [22, 254, 253, 0, 0];
        for _ in 0..20_000 {
            // Where we are the client, our first flight follows the latest check until DTLS answers from somewhere.
            if role == Role::Client {
                attack.send(&mut rig, elsewhere(9), &garbage);
            }
            rig.run_for(MS);
            if rig.client.is_connected() && rig.viewer.media_path().is_some() {
                break;
            }
        }
        assert!(rig.client.is_connected(), "{role:?}");
        assert_eq!(rig.viewer.media_path(), Some(&rig.at), "{role:?}");
    }
}

#[test]
fn replays_from_many_addresses_during_the_hand_shake_do_not_catch_the_media() {
    for role in [Role::Client, Role::Server] {
        for seed in 1..=10 {
            let weather = Weather {
                jitter: 10 * MS,
                ..Weather::FAIR
            };
            let mut rig = Rig::new(role, weather, seed);
            let check = rig.client.check(&[]);
            for round in 0..3000_u32 {
                // Enough of them to push every unproven address out.
                for port in 0..6 {
                    let from = elsewhere(1000 + ((round * 6 + port) % 60_000) as u16);
                    rig.arrive(from, &check);
                }
                rig.run_for(5 * MS);
                let media = rig.viewer.media_path().copied();
                assert!(media.is_none_or(|path| path == rig.at), "{media:?}");
                if media.is_some() {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_hand_shake_whose_address_was_pushed_out_at_its_end_sends_media_there_and_nowhere_else() {
    let mut rig = Rig::new(Role::Client, Weather::FAIR, 1);
    let (home, check) = (rig.at, rig.client.check(&[]));
    rig.arrive(home, &check);
    for port in 1..=4 {
        rig.now += MS;
        rig.arrive(elsewhere(port), &check);
    }
    assert!(rig.viewer.paths().all(|known| *known != home));
    rig.out.learnt.clear();
    rig.out.forgotten.clear();
    let keys = Keys {
        profile: Profile::AeadAes128Gcm,
        local_key: vec![1; 16],
        local_salt: vec![2; 12],
        remote_key: vec![3; 16],
        remote_salt: vec![4; 12],
    };
    let now = rig.now;
    rig.viewer.connect(&keys, home, now, &mut rig.out).unwrap();
    assert_eq!(rig.viewer.media_path(), Some(&home));
    assert_eq!(rig.out.learnt, [home], "to be found from there again");
    assert_eq!(rig.out.forgotten.len(), 1);
}

#[test]
fn a_client_that_moves_gets_its_media_at_the_new_address_once_it_authenticates_there() {
    let mut rig = Rig::connected();
    let (home, away) = (rig.at, path("198.51.100.7:5000"));
    rig.at = away;
    let check = rig.client.check(&[]);
    rig.arrive(away, &check);
    assert_eq!(rig.out.learnt.last(), Some(&away));
    assert_eq!(rig.viewer.media_path(), Some(&home), "a check is no proof");
    rig.say(&report());
    assert_eq!(rig.viewer.media_path(), Some(&away));
    play(&mut rig, 1);
    rig.run_for(50 * MS);
    assert_eq!(rig.client.packets.len(), 4);
    // And back.
    rig.at = home;
    rig.say(&report());
    assert_eq!(rig.viewer.media_path(), Some(&home));
}

#[test]
fn a_report_that_was_overtaken_does_not_move_media_back() {
    let mut rig = Rig::connected();
    let (home, away) = (rig.at, path("198.51.100.7:5000"));
    let late = rig.client.seal(&report());
    let check = rig.client.check(&[]);
    rig.at = away;
    rig.arrive(away, &check);
    rig.say(&report());
    assert_eq!(rig.viewer.media_path(), Some(&away));
    // It is authentic and new, but says where the client was (as RFC 9000 §9.3 has it for QUIC).
    rig.arrive(home, &late);
    assert_eq!(rig.viewer.media_path(), Some(&away));
    assert_eq!(rig.counters.srtp_rejected.value(), 0);
}

#[test]
fn srtcp_replayed_from_another_address_does_not_move_media() {
    let mut rig = Rig::connected();
    let home = rig.at;
    let check = rig.client.check(&[]);
    let recorded: Vec<_> = (0..20).map(|_| rig.say(&report())).collect();
    let mut attack = Attack { sent: 0 };
    attack.send(&mut rig, elsewhere(9), &check);
    for sealed in &recorded {
        attack.send(&mut rig, elsewhere(9), sealed);
        assert_eq!(rig.viewer.media_path(), Some(&home));
    }
    assert_eq!(rig.counters.srtp_rejected.value(), 20);
}

#[test]
fn an_address_without_a_check_is_let_in_with_nothing() {
    let mut rig = Rig::connected();
    let home = rig.at;
    let fresh = rig.client.seal(&report());
    rig.arrive(elsewhere(9), &fresh);
    assert_eq!(rig.counters.srtp_rejected.value(), 1);
    assert_eq!(rig.viewer.media_path(), Some(&home));
    let before = rig.counters.stun_rejected.value();
    rig.arrive(elsewhere(9), &[22; 100]);
    assert_eq!(rig.counters.stun_rejected.value(), before + 1);
    assert!(!rig.sent_to.contains_key(&elsewhere(9).remote));
    assert!(rig.viewer.paths().all(|known| *known == home));
}

#[test]
fn a_forged_end_from_an_unchecked_address_does_not_end_a_hand_shake() {
    let mut rig = Rig::new(Role::Client, Weather::FAIR, 1);
    // A fatal alert in the clear, as anyone can write it.
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    for _ in 0..200 {
        rig.arrive(elsewhere(9), &alert);
        rig.run_for(MS);
    }
    assert_eq!(rig.server_closed, None);
    assert!(rig.client.is_connected());
}

#[test]
fn a_flood_of_addresses_leaves_the_client_its_own_and_no_more_than_a_few_are_kept() {
    let mut rig = Rig::connected();
    let home = rig.at;
    let check = rig.client.check(&[]);
    for port in 1..5_000 {
        rig.arrive(elsewhere(port), &check);
        assert!(rig.viewer.paths().count() <= 4);
    }
    // Every address that was made known and is no longer was told.
    let learnt: HashSet<Path> = rig.out.learnt.iter().copied().collect();
    let forgotten: HashSet<Path> = rig.out.forgotten.iter().copied().collect();
    let known: HashSet<Path> = rig.viewer.paths().copied().collect();
    assert_eq!(&learnt - &forgotten, known);
    rig.say(&report());
    assert_eq!(rig.viewer.media_path(), Some(&home));
}

#[test]
fn an_address_asked_from_twice_stays_findable_while_one_of_its_paths_is_known() {
    // A client on one port tries every address we have: five paths, one remote address.
    let mut rig = Rig::connected();
    let check = rig.client.check(&[]);
    for last in 1..=6 {
        let local = Some([127, 0, 0, last].into());
        rig.arrive(Path { local, ..rig.at }, &check);
    }
    assert!(rig.viewer.paths().any(|known| *known == rig.at));
    assert_eq!(rig.out.forgotten, [], "the remote address is still in use");
}
