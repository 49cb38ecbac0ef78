//! When media follows a client to another address by a check alone, and who can't make it go there.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/rig/mod.rs"]
mod rig;

use std::time::Duration;

use corertc::net::Path;
use corertc::rtp::rtcp;

use rig::{Rig, path};

const SECOND: Duration = Duration::from_secs(1);

fn away() -> Path {
    path("203.0.113.66:9")
}

fn say(rig: &mut Rig) {
    let mut plain = Vec::new();
    rtcp::write_receiver_report(&mut plain, 7, &[]);
    rig.say(&plain);
}

/// A second passes, in steps as a shard's.
fn pass(rig: &mut Rig, seconds: u32) {
    for _ in 0..seconds * 10 {
        rig.run_for(SECOND / 10);
    }
}

/// A client whose every word is lost on the way from now on.
fn vanished(mut rig: Rig) -> Rig {
    rig.wire.weather.loss = 100;
    rig
}

fn media(rig: &Rig) -> Path {
    *rig.viewer.media_path().unwrap()
}

/// C077, RFC 8445 §8.1.1: a NAT's new mapping is known by a check first.
#[test]
fn a_check_that_nominates_moves_media_once_the_old_address_was_silent_for_a_second() {
    let mut rig = vanished(Rig::connected());
    let home = rig.at;
    say(&mut rig);
    let check = rig.client.check(&[]);
    rig.arrive(away(), &check);
    assert_eq!(media(&rig), home, "it was heard a moment ago");
    pass(&mut rig, 1);
    assert_eq!(media(&rig), away());
    // And at once where the silence was longer.
    let next = path("203.0.113.67:9");
    pass(&mut rig, 2);
    let check = rig.client.check(&[]);
    rig.arrive(next, &check);
    assert_eq!(media(&rig), next);
    assert_eq!(rig.viewer.heard(), rig.now, "it is alive");
}

#[test]
fn a_report_makes_the_new_address_its_own() {
    let mut rig = vanished(Rig::connected());
    pass(&mut rig, 2);
    let check = rig.client.check(&[]);
    rig.arrive(away(), &check);
    rig.at = away();
    say(&mut rig);
    assert_eq!(rig.out.proven.last(), Some(&away()));
    pass(&mut rig, 60);
    assert_eq!(media(&rig), away());
}

#[test]
fn what_was_heard_before_moves_nothing_however_long_the_silence() {
    let mut rig = Rig::connected();
    let home = rig.at;
    let recorded: Vec<_> = (0..10).map(|_| rig.client.check(&[])).collect();
    for check in &recorded {
        rig.arrive(home, check);
    }
    let mut rig = vanished(rig);
    for _ in 0..20 {
        pass(&mut rig, 1);
        for check in &recorded {
            rig.arrive(away(), check);
            assert_eq!(media(&rig), home);
        }
    }
}

#[test]
fn while_the_client_reports_nobody_else_gets_its_media() {
    let mut rig = vanished(Rig::connected());
    let home = rig.at;
    for _ in 0..30 {
        // Caught on its way and sent from elsewhere: the server never heard it.
        let check = rig.client.check(&[]);
        rig.arrive(away(), &check);
        for _ in 0..9 {
            rig.run_for(SECOND / 10);
            assert_eq!(media(&rig), home);
        }
        say(&mut rig);
    }
}

#[test]
fn what_only_checks_loses_the_media_five_seconds_after_its_last_one() {
    let mut rig = vanished(Rig::connected());
    let home = rig.at;
    pass(&mut rig, 2);
    for _ in 0..4 {
        let check = rig.client.check(&[]);
        rig.arrive(away(), &check);
        pass(&mut rig, 4);
        assert_eq!(media(&rig), away());
    }
    pass(&mut rig, 1);
    assert_eq!(media(&rig), home);
}

#[test]
fn a_client_that_is_heard_of_again_has_its_media_back_at_once() {
    for by_report in [true, false] {
        let mut rig = vanished(Rig::connected());
        let home = rig.at;
        pass(&mut rig, 2);
        let check = rig.client.check(&[]);
        rig.arrive(away(), &check);
        assert_eq!(media(&rig), away());
        if by_report {
            say(&mut rig);
        } else {
            let check = rig.client.check(&[]);
            rig.arrive(home, &check);
            pass(&mut rig, 1);
        }
        assert_eq!(media(&rig), home);
    }
}

/// A client with two networks keeps the second one warm.
#[test]
fn a_check_that_nominates_nothing_moves_nothing() {
    let mut rig = vanished(Rig::connected());
    let home = rig.at;
    rig.client.nominates = false;
    for _ in 0..10 {
        pass(&mut rig, 1);
        let check = rig.client.check(&[]);
        rig.arrive(away(), &check);
        assert_eq!(media(&rig), home);
    }
}
