//! When viewers that catch up may send: each at its own pace, all together within one budget, first come first served.

use std::time::{Duration, Instant};

/// Slowest pace of a catch-up. Faster ones overflow receivers' buffers, slower ones show the picture later.
const PACE_BPS: u64 = 20_000_000;
/// The pace of a stream that is itself fast: so many times its rate, or it would never get there.
const PACE_TIMES: u64 = 6;
/// What all catch-ups of a shard may send together: a crowd that joins at once must not eat the line.
const BUDGET_BPS: u64 = 500_000_000;
/// Time a viewer whose turn came late may make up for, and the bytes: about 40 packets, so that with its next chunk
/// no more than 64 leave without a gap.
const LATE: Duration = Duration::from_millis(4);
const LATE_BYTES: u64 = 48_000;
const SLOW_BYTES: u64 = 2400;
const SLOW_LATE: Duration = Duration::from_millis(50);
/// A full socket needs a moment.
const BLOCKED: Duration = Duration::from_millis(2);

/// The viewers of a shard that catch up, by key, in the order they came.
#[derive(Default)]
pub(super) struct Joining {
    waiting: Vec<Waiting>,
    /// When the common budget has room again.
    free_at: Option<Instant>,
}

struct Waiting {
    viewer: u64,
    due: Instant,
}

impl Joining {
    /// It begins to catch up, or begins anew; its first turn is when it is `due`.
    pub(super) fn add(&mut self, viewer: u64, due: Instant) {
        if !self.waiting.iter().any(|one| one.viewer == viewer) {
            self.waiting.push(Waiting { viewer, due });
        }
    }

    /// It is live, or gone.
    pub(super) fn remove(&mut self, viewer: u64) {
        self.waiting.retain(|one| one.viewer != viewer);
    }

    /// Whose turn it is.
    pub(super) fn next(&self, now: Instant) -> Option<u64> {
        if self.free_at.is_some_and(|free_at| free_at > now) {
            return None;
        }
        let turn = self.waiting.iter().find(|one| one.due <= now)?;
        Some(turn.viewer)
    }

    /// When it will be somebody's turn.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.waiting.iter().map(|one| one.due).min()?;
        Some(self.free_at.map_or(due, |free_at| free_at.max(due)))
    }

    /// A viewer was sent `bytes` and keeps this pace; when its next turn is.
    pub(super) fn spent(
        &mut self,
        viewer: u64,
        bytes: u64,
        pace_bps: u64,
        now: Instant,
    ) -> Option<Instant> {
        let budget_from = now.checked_sub(LATE).unwrap_or(now);
        let free_at = self.free_at.map_or(budget_from, |at| at.max(budget_from));
        self.free_at = Some(free_at + time_of(bytes, BUDGET_BPS));
        let late = LATE.min(time_of(LATE_BYTES, pace_bps));
        // A slow one has few turns: what it missed of two packets' time it may make up for.
        let late = late.max(time_of(SLOW_BYTES, pace_bps).min(SLOW_LATE));
        let one = self.waiting.iter_mut().find(|one| one.viewer == viewer)?;
        let from = now.checked_sub(late).map_or(now, |from| one.due.max(from));
        one.due = from + time_of(bytes, pace_bps);
        Some(one.due)
    }

    /// It may not send before this.
    pub(super) fn not_before(&mut self, viewer: u64, due: Instant) {
        if let Some(one) = self.waiting.iter_mut().find(|one| one.viewer == viewer) {
            one.due = one.due.max(due);
        }
    }

    /// The socket had no room for it.
    pub(super) fn blocked(&mut self, viewer: u64, now: Instant) {
        if let Some(one) = self.waiting.iter_mut().find(|one| one.viewer == viewer) {
            one.due = now + BLOCKED;
        }
    }
}

/// The pace of a catch-up with a stream of this rate.
pub(super) fn pace_bps(stream_bps: u64) -> u64 {
    PACE_BPS.max(stream_bps.saturating_mul(PACE_TIMES))
}

/// How long `bytes` take.
pub(super) fn time_of(bytes: u64, bps: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(8_000_000_000) / bps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 16 * 1200;

    /// Lets everyone send chunks for a second, woken as timers of 1 ms wake; bytes per viewer, and the most that one
    /// sent at one time.
    fn run(
        joining: &mut Joining,
        viewers: u64,
        stream_bps: u64,
        start: Instant,
    ) -> (Vec<u64>, u64) {
        let time = Duration::from_secs(1);
        let mut now = start;
        let mut bytes = vec![0; viewers as usize];
        let mut most = 0;
        while now < start + time {
            let mut at_once = vec![0; viewers as usize];
            while let Some(viewer) = joining.next(now) {
                bytes[viewer as usize] += CHUNK;
                at_once[viewer as usize] += CHUNK;
                joining.spent(viewer, CHUNK, pace_bps(stream_bps), now);
            }
            most = most.max(at_once.into_iter().max().unwrap_or(0));
            now += Duration::from_millis(1);
        }
        (bytes, most)
    }

    #[test]
    fn one_viewer_keeps_its_pace_and_never_bursts() {
        for (stream_bps, pace_bps) in [(1_000_000, PACE_BPS), (30_000_000, 180_000_000)] {
            let mut joining = Joining::default();
            let now = Instant::now();
            joining.add(0, now);
            let (bytes, most) = run(&mut joining, 1, stream_bps, now);
            let bps = bytes[0] * 8;
            assert!(bps <= pace_bps * 11 / 10, "{bps} of {pace_bps}");
            assert!(bps >= pace_bps * 9 / 10, "{bps} of {pace_bps}");
            assert!(most <= 64 * 1200, "{most} bytes without a gap");
        }
    }

    #[test]
    fn a_crowd_shares_one_budget_and_those_who_came_first_go_first() {
        let mut joining = Joining::default();
        let start = Instant::now();
        for viewer in 0..500 {
            joining.add(viewer, start);
        }
        let (bytes, _) = run(&mut joining, 500, 1_000_000, start);
        let bps = bytes.iter().sum::<u64>() * 8;
        assert!(bps <= BUDGET_BPS * 11 / 10, "{bps}");
        assert!(bps >= BUDGET_BPS * 9 / 10, "{bps}");
        assert!(bytes[0] * 8 >= PACE_BPS * 9 / 10, "{}", bytes[0]);
        assert_eq!(bytes[499], 0, "its turn comes when the first are live");
        for viewer in 0..490 {
            joining.remove(viewer);
        }
        let later = start + Duration::from_secs(1);
        let (bytes, _) = run(&mut joining, 500, 1_000_000, later);
        assert!(bytes[499] * 8 >= PACE_BPS * 9 / 10, "{}", bytes[499]);
    }

    #[test]
    fn a_full_socket_is_left_alone_for_a_moment() {
        let now = Instant::now();
        let mut joining = Joining::default();
        joining.add(3, now);
        assert_eq!(joining.next(now), Some(3));
        joining.blocked(3, now);
        assert_eq!(joining.next(now), None);
        assert_eq!(joining.next_due(), Some(now + BLOCKED));
        joining.remove(3);
        assert_eq!(joining.next_due(), None);
    }
}
