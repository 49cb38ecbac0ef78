//! A viewer behind a router that forgets its mapping: its port changes, then its address. It knows nothing of it and asks
//! for nothing: the same session goes on.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;
#[path = "common/live/mod.rs"]
mod live;
#[path = "common/rig/mod.rs"]
mod rig;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use corertc::rtp::codec::Codec;
use serde_json::Value;

use common::browser::Browser;
use common::ffmpeg::{Ffmpeg, PICTURE_AND_TONE};
use common::host::{Host, picture_and_tone};
use common::netns::Network;
use common::site::Site;
use common::{PATIENCE, eventually, one_at_a_time};

/// Of issue and specification: media are back within this.
const BACK: Duration = Duration::from_secs(3);

/// A way to change how the server sees the clients.
type Change = fn(&Network);

const CHANGES: [(&str, Change); 2] = [
    ("port", Network::change_ports),
    ("address", Network::change_address),
];

/// The only session: its name, and where its media go.
fn session(host: &Host) -> (Value, Value) {
    let stats = host.stats();
    let sessions = stats["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{stats}");
    (
        sessions[0]["session"].clone(),
        sessions[0]["media_addr"].clone(),
    )
}

/// The longest time in which a number stood still.
struct Gap {
    last: (u64, Instant),
    longest: Duration,
}

impl Gap {
    fn new(number: u64) -> Self {
        Self {
            last: (number, Instant::now()),
            longest: Duration::ZERO,
        }
    }

    /// True where it has moved on.
    fn see(&mut self, number: u64) -> bool {
        self.longest = self.longest.max(self.last.1.elapsed());
        let moved_on = number > self.last.0;
        if moved_on {
            self.last = (number, Instant::now());
        }
        moved_on
    }
}

/// Sound and picture stood still so long after `change`, which is over when media go elsewhere and both came from there.
fn outage(host: &Host, browser: &Browser, change: impl Fn()) -> (Duration, Duration) {
    let at = session(host).1;
    let seen = browser.report("one");
    let (mut sound, mut picture) = (Gap::new(seen.audio_packets), Gap::new(seen.frames_decoded));
    change();
    let (mut moved, mut heard, mut shown) = (false, false, false);
    eventually("media from elsewhere", PATIENCE, || {
        let seen = browser.report("one");
        heard |= sound.see(seen.audio_packets) && moved;
        shown |= picture.see(seen.frames_decoded) && moved;
        moved = moved || session(host).1 != at;
        match heard && shown {
            true => Ok(()),
            false => Err(format!("moved {moved}, {seen:?}")),
        }
    });
    (sound.longest, picture.longest)
}

/// C077.
#[test]
fn a_browser_has_its_media_back_within_3_s_of_a_new_port_and_of_a_new_address() {
    let _turn = one_at_a_time();
    let Some(network) = Network::new() else {
        return;
    };
    let host = network.host(|_| {});
    let legs = host.process_start("cam", &picture_and_tone(Codec::Vp8));
    let _ffmpeg = Ffmpeg::run(PICTURE_AND_TONE, &legs);
    host.after_seconds_of_media(1);
    let site = Site::start_in(network.clients());
    let browser = Browser::start_in(network.clients());
    browser.goto(&site.origin());
    browser.watch("one", &host.url("/whep/cam"));
    browser.sees_motion("one");
    let (name, _) = session(&host);
    for (what, change) in CHANGES {
        let (sound, picture) = outage(&host, &browser, || change(&network));
        println!("new {what}: sound away for {sound:?}, picture for {picture:?}");
        assert!(
            sound < BACK && picture < BACK,
            "{what}: {sound:?} {picture:?}"
        );
        browser.sees_motion("one");
        browser.hears_tone("one");
        assert_eq!(session(&host).0, name);
    }
    assert_eq!(host.counter("sessions_total"), 1);
    assert_eq!(host.viewers(), 1);
}

/// A client that reports nothing has only its checks, every 2.5 s.
#[test]
fn a_client_that_only_checks_has_its_media_back_within_3_s() {
    let Some(network) = Network::new() else {
        return;
    };
    let mut site = live::Site::new(&format!("{}:0", network.server()), true);
    let index = site.add(site.address());
    let socket = network
        .clients()
        .enter(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap();
    socket.set_nonblocking(true).unwrap();
    site.peers[index].socket = socket;
    site.until("connected", |site| site.peers[0].is_connected());
    let mut last_fed = Instant::now();
    let mut arrived = move |site: &mut live::Site| {
        if last_fed.elapsed() > Duration::from_millis(20) {
            last_fed = Instant::now();
            site.feed(true, &[900]);
        }
        site.peers[0].client.packets.len() as u64
    };
    site.until("media", |site| arrived(site) > 10);
    for (what, change) in CHANGES {
        let remote = |site: &live::Site| site.peers[0].numbers.lock().unwrap().remote;
        let at = remote(&site);
        let mut gap = Gap::new(arrived(&mut site));
        change(&network);
        site.until("media from elsewhere", |site| {
            gap.see(arrived(site)) && remote(site) != at
        });
        println!("new {what}: no media for {:?}", gap.longest);
        assert!(gap.longest < BACK, "{what}: {:?}", gap.longest);
    }
}
