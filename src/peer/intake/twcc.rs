//! Arrival times for the sender's congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): without them a
//! browser stays at the rate it starts with.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::reception::extend;
use crate::rtp::rtcp::{TICKS_PER_SECOND, write_transport_cc};

/// From the first unreported packet to its report, as in libwebrtc; and from when on a packet that wakes us anyway takes it along.
const REPORT_AFTER: Duration = Duration::from_millis(100);
const EARLY_BY: Duration = Duration::from_millis(50);
/// Numbers one report is about at most; a jump beyond begins anew.
const SPAN_MAX: u64 = 2048;
/// Numbers one packet is about at most: at two bytes a delta it stays below any MTU.
const STATUSES_MAX: usize = 400;
/// Packets that came after their report and get one of their own.
const LATE_MAX: usize = 16;

/// What arrived since the last report.
#[derive(Debug)]
pub(in crate::peer) struct Arrivals {
    epoch: Instant,
    /// The first number not reported yet; None before the first packet.
    base: Option<u64>,
    arrived: VecDeque<Option<u64>>,
    late: Vec<(u16, u64)>,
    due: Option<Instant>,
    reports: u8,
}

impl Arrivals {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            base: None,
            arrived: VecDeque::new(),
            late: Vec::new(),
            due: None,
            reports: 0,
        }
    }

    /// A packet with this transport-wide number came.
    pub(super) fn packet(&mut self, seq: u16, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_micros() as u64;
        let ticks = since * TICKS_PER_SECOND / 1_000_000;
        let base = *self.base.get_or_insert(0x1_0000 + u64::from(seq));
        let number = extend(base + self.arrived.len() as u64, seq);
        self.due.get_or_insert(now + REPORT_AFTER);
        if number < base {
            if base - number <= SPAN_MAX && self.late.len() < LATE_MAX {
                self.late.push((seq, ticks));
            }
            return;
        }
        if number - base >= SPAN_MAX {
            self.base = Some(number);
            self.arrived.clear();
            self.arrived.push_back(Some(ticks));
            return;
        }
        let place = (number - base) as usize;
        if self.arrived.len() <= place {
            self.arrived.resize(place + 1, None);
        }
        self.arrived[place].get_or_insert(ticks);
    }

    /// When [`Arrivals::report`] wants to be called.
    pub(in crate::peer) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a report may leave by the way now.
    pub(in crate::peer) fn may_report(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now + EARLY_BY)
    }

    /// The feedback packets about everything that arrived: a datagram each, every one after `begin`.
    pub(in crate::peer) fn report(
        &mut self,
        sender: u32,
        media: u32,
        begin: &[u8],
    ) -> Vec<Vec<u8>> {
        self.due = None;
        let mut out = Vec::new();
        let reports = &mut self.reports;
        let mut write = |base: u16, arrivals: &[Option<u64>]| {
            let mut datagram = begin.to_vec();
            let written =
                write_transport_cc(&mut datagram, sender, media, base, *reports, arrivals);
            if written > 0 {
                *reports = reports.wrapping_add(1);
                out.push(datagram);
            }
            written
        };
        for (seq, ticks) in self.late.drain(..) {
            write(seq, &[Some(ticks)]);
        }
        if let Some(base) = &mut self.base {
            let all = self.arrived.make_contiguous();
            let mut done = 0;
            while done < all.len() {
                let end = all.len().min(done + STATUSES_MAX);
                let first = (*base + done as u64) as u16;
                // Nothing written: none of these arrived, which the sender learns from what comes after them.
                done += match write(first, &all[done..end]) {
                    0 => end - done,
                    written => written,
                };
            }
            *base += all.len() as u64;
            self.arrived.clear();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::{Item, parse};

    /// (first number, count) of each feedback packet.
    fn reported(arrivals: &mut Arrivals) -> Vec<(u16, u16)> {
        let out = arrivals.report(1, 2, &[]);
        out.iter()
            .inspect(|datagram| assert!(datagram.len() < 1100))
            .flat_map(|datagram| parse(datagram))
            .map(|item| match item {
                Ok(Item::TransportCc(it)) => (
                    u16::from_be_bytes([it.raw[0], it.raw[1]]),
                    u16::from_be_bytes([it.raw[2], it.raw[3]]),
                ),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn each_number_is_reported_once_holes_included_over_the_wrap() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        for seq in [65_533, 65_535, 0, 3] {
            arrivals.packet(seq, start);
        }
        assert_eq!(arrivals.due(), Some(start + REPORT_AFTER));
        let half = start + Duration::from_millis(50);
        assert!(!arrivals.may_report(half - Duration::from_millis(1)) && arrivals.may_report(half));
        assert_eq!(reported(&mut arrivals), [(65_533, 7)]);
        assert_eq!(arrivals.due(), None);
        assert!(!arrivals.may_report(start + REPORT_AFTER));
        arrivals.packet(6, start + Duration::from_millis(60));
        assert_eq!(reported(&mut arrivals), [(4, 3)]);
    }

    #[test]
    fn what_comes_after_its_report_gets_one_of_its_own() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        arrivals.packet(10, start);
        arrivals.packet(12, start);
        reported(&mut arrivals);
        arrivals.packet(11, start);
        arrivals.packet(13, start);
        assert_eq!(reported(&mut arrivals), [(11, 1), (13, 1)]);
    }

    #[test]
    fn a_burst_is_reported_in_several_datagrams() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        for n in 0..1000_u16 {
            // Now and then a millisecond: deltas of one and of two bytes.
            let late = u64::from(n / 3) * u64::from(n % 3) * 50;
            arrivals.packet(n, start + Duration::from_micros(late));
        }
        assert_eq!(reported(&mut arrivals), [(0, 400), (400, 400), (800, 200)]);
    }

    #[test]
    fn a_long_pause_or_a_jump_is_no_trouble() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        arrivals.packet(1, start);
        arrivals.packet(2, start + Duration::from_secs(60));
        assert_eq!(reported(&mut arrivals), [(1, 1), (2, 1)]);
        arrivals.packet(20_000, start + Duration::from_secs(61));
        assert_eq!(reported(&mut arrivals), [(20_000, 1)]);
    }
}
