//! Links on virtual time: what is sent follows what gets through.

use super::*;
use crate::peer::Received;

const STREAM_BPS: u64 = 800_000;
const AUDIO_BPS: u64 = 64_000;
const LOSS_FULL: f64 = 0.05;

/// A viewer behind a link that drops what is too much, and reports once a second.
struct Rig {
    thinning: Thinning,
    now: Instant,
    look: Look,
    link_bps: f64,
    /// Lost whatever is sent.
    random_loss: f64,
    /// Asked for again, and sent, where the link is not known to be narrow.
    repairs_bps: f64,
    turned_narrow: u32,
}

impl Rig {
    fn new(link_bps: u64) -> Self {
        let now = Instant::now();
        let look = Look {
            at: now,
            tracks: [Some(Received::default()), None],
            sent_seq: 0,
            rtt: None,
            bytes: 0,
            video_bytes: 7,
            audio_bytes: u32::MAX - 20_000,
            remb_bps: None,
            stream_bps: STREAM_BPS,
        };
        Self {
            thinning: Thinning::default(),
            now,
            look,
            link_bps: link_bps as f64,
            random_loss: 0.0,
            repairs_bps: 0.0,
            turned_narrow: 0,
        }
    }

    /// A second passes; what was sent, bit/s, and the fraction lost.
    fn second(&mut self) -> (f64, f64) {
        let video = STREAM_BPS - AUDIO_BPS;
        let video = self.thinning.pace_bps().map_or(video, |bps| bps.min(video));
        let repairs = match self.thinning.pace_bps() {
            None => self.repairs_bps,
            Some(_) => 0.0,
        };
        let sent = (video + AUDIO_BPS) as f64 + repairs;
        let loss = (1.0 - self.link_bps / sent).max(self.random_loss);
        let packets = 500;
        self.now += Duration::from_secs(1);
        self.look.at = self.now;
        let track = self.look.tracks[0].as_mut().unwrap();
        track.highest = track.highest.wrapping_add(packets);
        track.lost += (f64::from(packets) * loss) as i32;
        self.look.bytes += sent as u64 / 8;
        self.look.video_bytes = self.look.video_bytes.wrapping_add(video as u32 / 8);
        self.look.audio_bytes = self.look.audio_bytes.wrapping_add(AUDIO_BPS as u32 / 8);
        self.turned_narrow += u32::from(self.thinning.look(self.look) == Verdict::Narrow);
        (sent, loss)
    }

    fn seconds(&mut self, count: u32) -> Vec<(f64, f64)> {
        (0..count).map(|_| self.second()).collect()
    }
}

#[test]
fn a_narrow_link_is_filled_and_hardly_ever_overfilled() {
    let mut rig = Rig::new(600_000);
    rig.seconds(5);
    assert_eq!(rig.turned_narrow, 1);
    let then = rig.seconds(120);
    let bad = then.iter().filter(|(_, loss)| *loss >= LOSS_FULL).count();
    assert!(bad <= 8, "{bad} seconds with loss: {then:?}");
    let mean = then.iter().map(|(sent, _)| sent).sum::<f64>() / 120.0;
    assert!(mean > 500_000.0, "{mean}");
    assert_eq!(rig.turned_narrow, 1, "it stays what it is");
}

#[test]
fn a_storm_of_repairs_does_not_hide_that_a_link_is_narrow() {
    let mut rig = Rig::new(600_000);
    rig.repairs_bps = 3e6;
    rig.seconds(5);
    assert_eq!(rig.turned_narrow, 1);
    let then = rig.seconds(10);
    let bad = then.iter().filter(|(_, loss)| *loss >= LOSS_FULL).count();
    assert!(bad <= 2, "{then:?}");
}

#[test]
fn a_burst_to_catch_up_that_was_too_fast_is_no_narrow_link() {
    let mut rig = Rig::new(10_000_000);
    rig.second();
    for _ in 0..4 {
        rig.look.video_bytes = rig.look.video_bytes.wrapping_add(1_000_000);
        rig.look.bytes += 1_000_000;
        rig.random_loss = 0.4;
        rig.second();
    }
    assert_eq!(rig.turned_narrow, 0);
}

#[test]
fn a_link_that_is_wide_again_gets_everything_again() {
    let mut rig = Rig::new(600_000);
    rig.seconds(5);
    rig.link_bps = 10e6;
    rig.seconds(30);
    assert_eq!(rig.thinning.pace_bps(), None);
    rig.link_bps = 600_000.0;
    rig.seconds(5);
    assert_eq!(rig.turned_narrow, 2);
    assert_eq!(rig.thinning.hold, HOLD * 2, "more careful this time");
}

#[test]
fn loss_that_does_not_come_from_the_amount_is_not_answered_with_less() {
    let mut rig = Rig::new(10_000_000);
    rig.random_loss = 0.2;
    rig.seconds(10);
    assert_eq!(rig.turned_narrow, 1);
    assert_eq!(rig.thinning.pace_bps(), None);
    rig.seconds(40);
    assert_eq!(rig.turned_narrow, 1, "let alone for a while");
}

#[test]
fn a_moment_of_loss_and_what_repair_makes_up_for_change_nothing() {
    let mut rig = Rig::new(10_000_000);
    for loss in [0.0, 0.5, 0.0, 0.05, 0.09, 0.09, 0.05, 0.3, 0.0] {
        rig.random_loss = loss;
        rig.second();
    }
    assert_eq!(rig.turned_narrow, 0);
}

#[test]
fn an_estimate_far_below_what_is_sent_counts_where_round_trips_hint_at_it_too() {
    let mut rig = Rig::new(10_000_000);
    rig.look.rtt = Some(Duration::from_millis(10));
    rig.look.remb_bps = Some(100_000);
    rig.seconds(20);
    assert_eq!(rig.turned_narrow, 0, "alone it says nothing");
    rig.look.rtt = Some(Duration::from_millis(80));
    rig.look.remb_bps = Some(700_000);
    rig.seconds(20);
    assert_eq!(rig.turned_narrow, 0, "an estimator's doubt");
    rig.look.remb_bps = Some(400_000);
    rig.seconds(5);
    assert_eq!(rig.turned_narrow, 1);
    let pace = rig.thinning.pace_bps().unwrap();
    assert!(pace < 400_000, "{pace}");
}

#[test]
fn a_pace_leaves_room_for_audio_and_goes_in_small_pieces() {
    let mut rig = Rig::new(300_000);
    rig.seconds(6);
    let pace = rig.thinning.pace_bps().unwrap();
    assert!((150_000..236_000).contains(&pace), "{pace}");
    assert_eq!(rig.thinning.chunk_packets(), 1);
    assert_eq!(Thinning::default().chunk_packets(), ROUND_PACKETS);
}

#[test]
fn nonsense_in_a_report_is_no_reason() {
    let mut rig = Rig::new(10_000_000);
    for (highest, lost) in [(0, 0), (u32::MAX, i32::MAX), (5, i32::MIN), (6, i32::MAX)] {
        rig.now += Duration::from_secs(1);
        rig.look.at = rig.now;
        rig.look.tracks = [Some(Received { highest, lost }); 2];
        rig.thinning.look(rig.look);
    }
    assert_eq!(rig.thinning.pace_bps(), None);
}
