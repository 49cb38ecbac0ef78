//! A viewer that reports a narrow link, over real sockets: whole frames are left out for it up to a key frame, its numbers
//! have no gap, and its neighbour gets everything.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/live/mod.rs"]
mod live;
#[path = "common/rig/mod.rs"]
mod rig;

use std::time::{Duration, Instant};

use corertc::rtp::rtcp::{self, ReportBlock};

use live::Site;

const PACKETS: usize = 4;
const GOP: usize = 30;
const FRAME: Duration = Duration::from_millis(33);
const TIME: Duration = Duration::from_secs(9);

/// What the narrow one says of its reception: how far it got, and, while it is `losing`, that a quarter of what came
/// since the last report was lost.
#[derive(Default)]
struct Reporter {
    lost: i32,
    before: u32,
}

impl Reporter {
    fn report(&mut self, site: &Site, losing: bool) -> Option<Vec<u8>> {
        let packets = &site.peers[0].client.packets;
        let highest = u32::from(packets.first()?.header.seq) + packets.len() as u32 - 1;
        if losing {
            self.lost += (highest.saturating_sub(self.before) / 4) as i32;
        }
        self.before = highest;
        let block = ReportBlock {
            ssrc: 1000,
            highest_seq: highest,
            cumulative_lost: self.lost,
            ..ReportBlock::default()
        };
        let mut plain = Vec::new();
        rtcp::write_receiver_report(&mut plain, 1, &[block]);
        Some(plain)
    }
}

#[test]
fn a_narrow_link_gets_whole_frames_without_gaps_and_its_neighbour_everything() {
    let mut site = Site::keeping(4 << 20, Duration::from_secs(10));
    site.join(2);
    let began = Instant::now();
    let (mut frames, mut reports) = (0, 0);
    let mut reporter = Reporter::default();
    site.until("some seconds of media", |site| {
        while began.elapsed() >= FRAME * frames as u32 {
            site.feed(frames % GOP == 0, &[900; PACKETS]);
            frames += 1;
        }
        if began.elapsed() >= Duration::from_millis(300) * reports {
            reports += 1;
            if let Some(plain) = reporter.report(site, reports < 15) {
                let sealed = site.peers[0].client.seal(&plain);
                site.peers[0].send(&sealed);
            }
        }
        began.elapsed() >= TIME
    });
    let fed = site.fed.len();
    site.until("the neighbour has everything", |site| {
        site.peers[1].client.packets.len() >= fed
    });
    assert_eq!(site.peers[1].client.packets.len(), fed);

    let packets = &site.peers[0].client.packets;
    assert!(packets.len() > fed / 3, "{} of {fed}", packets.len());
    assert!(packets.len() < fed, "all {fed}");
    let (mut at, mut skips, mut again) = (0_usize, 0, 0);
    for (number, packet) in packets.iter().enumerate() {
        let seq = packets[0].header.seq.wrapping_add(number as u16);
        assert_eq!(packet.header.seq, seq, "no gap");
        // The payload ends with the low byte of its number among all.
        let low = *packet.payload.last().unwrap();
        let mut next = at + usize::from(low.wrapping_sub(at as u8));
        if site.fed.get(next) != Some(&packet.payload) {
            // What it got of this group was full of holes: once more from its key frame.
            next = next.checked_sub(256).unwrap();
            again += 1;
        }
        assert!(packet.payload == site.fed[next], "packet {number}");
        assert_eq!(next % PACKETS, number % PACKETS, "whole frames");
        if next != at {
            skips += 1;
            assert_eq!(next % (GOP * PACKETS), 0, "on with a key frame");
        }
        at = next + 1;
    }
    assert!(skips >= 2 && again <= 1, "{skips} {again}");
    assert!(site.counters.frames_thinned.value() > 0);
}
