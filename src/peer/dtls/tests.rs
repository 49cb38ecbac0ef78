//! Our server against our client.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use self::pair::{Fate, Pair, Side, fingerprint, records};
use super::*;

#[test]
fn both_roles_connect_without_a_timer_and_agree_on_the_keys() {
    let mut pair = Pair::new();
    pair.run(|_, _| Fate::Deliver);
    pair.assert_connected();
    assert_eq!(pair.elapsed(), Duration::ZERO);
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), (2, 2));
}

#[test]
fn a_lost_client_hello_comes_again_after_50_ms_then_after_100() {
    let mut pair = Pair::new();
    pair.run(|role, index| match (role, index) {
        (Role::Client, 0 | 1) => Fate::Lose,
        _ => Fate::Deliver,
    });
    pair.assert_connected();
    assert_eq!(pair.elapsed(), Duration::from_millis(150));
}

#[test]
fn any_lost_record_is_made_up_for() {
    let mut pair = Pair::new();
    pair.run(|_, _| Fate::Deliver);
    let count = |side: &Side| side.sent.iter().map(|sent| records(sent).len()).sum();
    for (role, total) in [
        (Role::Client, count(&pair.client)),
        (Role::Server, count(&pair.server)),
    ] {
        for lost in 0..total {
            let mut pair = Pair::new();
            pair.run(|from, index| match (from == role) && index == lost {
                true => Fate::Lose,
                false => Fate::Deliver,
            });
            pair.assert_connected();
            assert!(
                pair.elapsed() <= Duration::from_millis(150),
                "{role:?} {lost}"
            );
        }
    }
}

#[test]
fn a_whole_lost_flight_is_made_up_for() {
    for (role, flight) in [(Role::Server, 0), (Role::Client, 1), (Role::Server, 1)] {
        let mut pair = Pair::new();
        let (mut flights, mut last) = (0, None);
        pair.run(|from, _| {
            if last != Some(from) {
                flights += usize::from(from == role);
                last = Some(from);
            }
            match from == role && flights == flight + 1 {
                true => Fate::Lose,
                false => Fate::Deliver,
            }
        });
        pair.assert_connected();
        assert!(pair.elapsed() > Duration::ZERO, "{role:?} {flight}");
    }
}

#[test]
fn repeated_and_reordered_records_connect() {
    for fate in [Fate::Twice, Fate::Last] {
        let mut pair = Pair::new();
        pair.run(|_, _| fate);
        pair.assert_connected();
    }
}

#[test]
fn the_server_resends_its_finished_after_it_connected() {
    let mut pair = Pair::new();
    let mut held = 0;
    pair.run(|role, index| {
        // Three rounds of the server's ChangeCipherSpec and Finished.
        let lose = role == Role::Server && index >= 5 && held < 6;
        held += usize::from(lose);
        if lose { Fate::Lose } else { Fate::Deliver }
    });
    pair.assert_connected();
    assert_eq!(held, 6);
    assert_eq!(pair.server.sent.len(), 5);
    assert_eq!(pair.elapsed(), Duration::from_millis(50 + 100 + 200));
}

#[test]
fn a_silent_peer_ends_the_hand_shake_in_the_end() {
    let mut pair = Pair::new();
    pair.run(|_, _| Fate::Lose);
    let reason = pair.client.closed.as_deref().expect("closed");
    assert_eq!(reason, "READ_TIMEOUT_EXPIRED");
    assert!(pair.client.keys.is_none());
}

#[test]
fn a_wrong_client_fingerprint_is_an_alert_and_never_keys() {
    let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let mut wrong = fingerprint(&them);
    wrong[0].1[31] ^= 1;
    let mut pair = Pair::expecting(&us, &them, &wrong, &fingerprint(&us));
    pair.run(|_, _| Fate::Deliver);
    assert!(pair.server.keys.is_none() && pair.client.keys.is_none());
    let reason = pair.server.closed.expect("closed");
    assert!(reason.contains("fingerprint"), "{reason}");
    let reason = pair.client.closed.expect("closed");
    assert!(reason.contains("BAD_CERTIFICATE"), "{reason}");
}

#[test]
fn a_wrong_server_fingerprint_is_an_alert_and_never_keys() {
    let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let mut two = fingerprint(&us);
    two.push(("sha-512".to_owned(), vec![7; 64]));
    let mut pair = Pair::expecting(&us, &them, &fingerprint(&them), &two);
    pair.run(|_, _| Fate::Deliver);
    assert!(pair.server.keys.is_none() && pair.client.keys.is_none());
    assert!(pair.client.closed.expect("closed").contains("fingerprint"));
    assert!(
        pair.server
            .closed
            .expect("closed")
            .contains("BAD_CERTIFICATE")
    );
}

#[test]
fn a_fingerprint_of_no_known_hash_is_refused_at_once() {
    let identity = Identity::generate().unwrap();
    let md5 = [("md5".to_owned(), vec![0; 16])];
    assert!(Connection::new(&identity, Role::Server, &md5, Instant::now()).is_err());
}

#[test]
fn close_notify_from_either_side_ends_the_other() {
    for closer in [Role::Client, Role::Server] {
        let mut pair = Pair::new();
        pair.run(|_, _| Fate::Deliver);
        let (from, to) = match closer {
            Role::Client => (&mut pair.client, &mut pair.server),
            Role::Server => (&mut pair.server, &mut pair.client),
        };
        from.connection.close();
        from.connection.close();
        let alert = from.poll();
        assert_eq!(alert.len(), 1);
        to.connection.feed(&alert[0], pair.now);
        assert_eq!(to.poll().len(), 1, "answered with a close_notify");
        assert_eq!(to.closed.as_deref(), Some("close_notify"));
        assert_eq!(from.closed, None);
        assert_eq!(from.connection.next_timeout(), None);
        // Over: nothing wakes it again.
        to.connection.feed(&alert[0], pair.now);
        to.connection.handle_timeout(pair.now);
        assert!(to.poll().is_empty());
    }
}

#[test]
fn closing_before_the_hand_shake_is_done_sends_nothing() {
    let mut pair = Pair::new();
    pair.client.connection.handle_timeout(pair.now);
    pair.client.poll();
    pair.client.connection.close();
    pair.server.connection.close();
    assert!(pair.client.poll().is_empty() && pair.server.poll().is_empty());
    assert_eq!(pair.client.connection.next_timeout(), None);
}

#[test]
fn an_empty_datagram_changes_nothing() {
    let mut pair = Pair::new();
    pair.server.connection.feed(&[], pair.now);
    pair.client.connection.feed(&[], pair.now);
    pair.run(|_, _| Fate::Deliver);
    pair.server.connection.feed(&[], pair.now);
    pair.run(|_, _| Fate::Deliver);
    pair.assert_connected();
}

#[test]
fn forged_records_after_the_hand_shake_change_nothing() {
    let mut pair = Pair::new();
    pair.run(|_, _| Fate::Deliver);
    for kind in 20..24 {
        for epoch in [0, 1, 2] {
            let mut forged = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 9, 9, 0, 40];
            forged.resize(13 + 40, 0x55);
            pair.server.connection.feed(&forged, pair.now);
        }
    }
    pair.run(|_, _| Fate::Deliver);
    pair.assert_connected();
}

#[test]
fn a_connection_may_move_to_another_thread() {
    let mut pair = Pair::new();
    pair.client.connection.handle_timeout(pair.now);
    let mut pair = std::thread::spawn(move || {
        pair.run(|_, _| Fate::Deliver);
        pair
    })
    .join()
    .unwrap();
    pair.server.connection.close();
    pair.run(|_, _| Fate::Deliver);
    assert_eq!(pair.client.closed.as_deref(), Some("close_notify"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_survived(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
        kind in 20_u8..26,
        flips in prop::collection::vec((0_usize..4096, any::<u8>()), 0..4),
    ) {
        let mut pair = Pair::new();
        for datagram in &datagrams {
            let mut record = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1];
            record.extend((datagram.len() as u16).to_be_bytes());
            record.extend(datagram);
            pair.server.connection.feed(datagram, pair.now);
            pair.client.connection.feed(datagram, pair.now);
            pair.server.connection.feed(&record, pair.now);
        }
        // A genuine flight with broken bytes.
        pair.client.connection.handle_timeout(pair.now);
        for mut datagram in pair.client.poll() {
            for (at, mask) in &flips {
                let at = at % datagram.len();
                datagram[at] ^= mask;
            }
            pair.server.connection.feed(&datagram, pair.now);
        }
        pair.server.poll();
        prop_assert!(pair.server.keys.is_none());
    }
}
