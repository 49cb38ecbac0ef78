//! How a publisher spreads the packets of a frame, and so how long it pays not to look for the rest of one: a wake-up for
//! each packet costs many times the packet, and what is waited for is latency.

use std::time::{Duration, Instant};

/// The rest of a frame that is sent in one go is there by then.
const TOGETHER: Duration = Duration::from_micros(200);
/// A frame that a pacer spreads is sent on piece by piece, a piece in so long.
const SPREAD: Duration = Duration::from_millis(1);
/// A time that ends this soon has ended: to be woken once more costs more.
const SLACK: Duration = Duration::from_micros(50);

/// Evidence for a pacer: from [`IS_SPREAD`] on it is believed.
const SCORE_MAX: u8 = 8;
const IS_SPREAD: u8 = 4;

/// Of one publisher.
#[derive(Debug, Default)]
pub(super) struct Pace {
    score: u8,
    /// The rest of its frame is waited for.
    until: Option<Instant>,
    /// Packets that came in this time, and how many times the frame was waited for.
    came: u32,
    times: u32,
    /// When the last packet came of a frame whose rest was waited for in vain.
    in_vain: Option<Instant>,
    last: Option<Instant>,
}

impl Pace {
    /// Everything that was there has been read: `came` packets of this publisher, the last of which left its frame `open` or
    /// made it whole. `away`: they may have come some time ago. True where what is open is to be sent on now.
    pub(super) fn read(&mut self, came: u32, open: bool, away: bool, now: Instant) -> bool {
        let sends = match self.until {
            Some(until) if open && now + SLACK < until => {
                // Somebody else's time is over.
                self.came += came;
                false
            }
            Some(_) => self.waited(came, open, now),
            None if came == 0 => false,
            None => self.surprised(open, away, now),
        };
        if came > 0 {
            self.last = Some(now);
        }
        if !open {
            (self.times, self.in_vain) = (0, None);
        }
        sends
    }

    /// Until when nothing needs to be read for its sake.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.until
    }

    fn waited(&mut self, came: u32, open: bool, now: Instant) -> bool {
        let spread = self.is_spread();
        let in_vain = std::mem::take(&mut self.came) + came == 0;
        self.until = None;
        match (spread, open) {
            (true, true) if in_vain => self.doubt(2),
            (true, true) => self.believe(),
            // Whole at once.
            (true, false) if self.times == 1 => self.doubt(1),
            _ => {}
        }
        if open && in_vain {
            self.in_vain = self.last;
        } else if open {
            self.wait(now);
        }
        open && (spread || in_vain)
    }

    /// It was not waited for.
    fn surprised(&mut self, open: bool, away: bool, now: Instant) -> bool {
        if let Some(last) = self.in_vain.take() {
            match now.saturating_duration_since(last) <= SPREAD + SLACK {
                true => self.believe(),
                false => self.doubt(1),
            }
        }
        if open {
            self.wait(now);
        }
        // It has been waited for already.
        open && away && self.is_spread()
    }

    fn wait(&mut self, now: Instant) {
        let time = if self.is_spread() { SPREAD } else { TOGETHER };
        self.until = Some(now + time);
        self.times += 1;
    }

    fn is_spread(&self) -> bool {
        self.score >= IS_SPREAD
    }

    fn believe(&mut self) {
        self.score = (self.score + 1).min(SCORE_MAX);
    }

    fn doubt(&mut self, by: u8) {
        self.score = self.score.saturating_sub(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends frames to a [`Pace`] that is read as a shard does: what each packet waited, and the number of wake-ups.
    struct Rig {
        pace: Pace,
        now: Instant,
        arrived: Vec<Instant>,
        waits: Vec<Duration>,
        wakes: u32,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                pace: Pace::default(),
                now: Instant::now(),
                arrived: Vec::new(),
                waits: Vec::new(),
                wakes: 0,
            }
        }

        /// A frame whose packets come at these times, µs from its first.
        fn frame(&mut self, at_us: &[u64]) {
            let began = self.now;
            let times: Vec<_> = at_us
                .iter()
                .map(|at| began + Duration::from_micros(*at))
                .collect();
            let mut next = 0;
            while next < times.len() || !self.arrived.is_empty() {
                let away = self.pace.waits_until();
                self.now = match (away, times.get(next)) {
                    (Some(until), _) => until,
                    (None, Some(at)) => *at,
                    (None, None) => break,
                };
                self.wakes += 1;
                let before = next;
                while times.get(next).is_some_and(|at| *at <= self.now) {
                    self.arrived.push(times[next]);
                    next += 1;
                }
                let open = next < times.len();
                let came = (next - before) as u32;
                let sends = self.pace.read(came, open, away.is_some(), self.now);
                if sends || !open {
                    let now = self.now;
                    self.waits
                        .extend(self.arrived.drain(..).map(|at| now.duration_since(at)));
                }
            }
            assert!(self.arrived.is_empty(), "something is never sent on");
            self.now = began + Duration::from_millis(33);
        }

        fn settled(at_us: &[u64]) -> Self {
            let mut rig = Self::new();
            (0..10).for_each(|_| rig.frame(at_us));
            (rig.wakes, rig.waits) = (0, Vec::new());
            rig
        }

        fn worst(&self) -> Duration {
            self.waits.iter().max().copied().unwrap_or_default()
        }
    }

    const IN_ONE_GO: [u64; 14] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104];

    fn spread(gap_us: u64) -> Vec<u64> {
        (0..14).map(|index| index * gap_us).collect()
    }

    #[test]
    fn a_frame_in_one_go_costs_two_wake_ups_and_a_fifth_of_a_millisecond() {
        let mut rig = Rig::settled(&IN_ONE_GO);
        rig.frame(&IN_ONE_GO);
        assert_eq!((rig.wakes, rig.worst()), (2, TOGETHER));
    }

    #[test]
    fn a_pacers_packets_are_taken_by_the_millisecond() {
        let gaps = spread(700);
        let mut rig = Rig::settled(&gaps);
        rig.frame(&gaps);
        assert!(rig.wakes <= 11, "{} wake-ups for 14 packets", rig.wakes);
        assert!(rig.worst() <= SPREAD, "{:?}", rig.worst());
    }

    #[test]
    fn packets_farther_apart_are_hardly_waited_for() {
        let gaps = spread(3000);
        let mut rig = Rig::settled(&gaps);
        rig.frame(&gaps);
        assert_eq!(rig.worst(), TOGETHER);
    }

    #[test]
    fn bursts_five_milliseconds_apart_are_a_frame_in_goes() {
        let bursts: Vec<u64> = (0..3)
            .flat_map(|burst| (0..5).map(move |index| burst * 5000 + index * 10))
            .collect();
        let mut rig = Rig::settled(&bursts);
        rig.frame(&bursts);
        assert_eq!(rig.worst(), TOGETHER * 2);
    }

    #[test]
    fn one_that_paces_no_more_is_soon_taken_in_one_go_again() {
        let mut rig = Rig::settled(&spread(700));
        (0..10).for_each(|_| rig.frame(&IN_ONE_GO));
        rig.waits.clear();
        rig.frame(&IN_ONE_GO);
        assert_eq!(rig.worst(), TOGETHER);
    }

    #[test]
    fn what_came_while_another_was_waited_for_waits_no_second_time() {
        let mut rig = Rig::settled(&spread(700));
        assert!(rig.pace.read(1, true, true, rig.now));
        assert_eq!(rig.pace.waits_until(), Some(rig.now + SPREAD));
        // And another's time does not end its own.
        rig.now += TOGETHER;
        assert!(!rig.pace.read(1, true, true, rig.now));
    }
}
