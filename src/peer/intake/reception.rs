//! What a receiver report says of one source: loss, jitter, the sender's last report (RFC 3550 §6.4.1, A.3, A.8).

use std::time::Instant;

use crate::rtp::rtcp::{ReportBlock, ntp_middle};

/// The extended sequence number nearest to `near` that ends in `seq`.
pub(super) fn extend(near: u64, seq: u16) -> u64 {
    let step = i64::from(seq.wrapping_sub(near as u16).cast_signed());
    near.checked_add_signed(step)
        .unwrap_or(near + u64::from(seq.wrapping_sub(near as u16)))
}

/// One source as it arrives.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    ssrc: u32,
    clock_rate: u64,
    epoch: Instant,
    first: u64,
    highest: u64,
    received: u64,
    reported: (u64, u64),
    transit: Option<i64>,
    /// In units of 1/16 tick, as A.8 keeps it.
    jitter: i64,
    sender_report: Option<(u32, Instant)>,
}

impl Reception {
    /// A source whose first packet has this sequence number.
    pub(super) fn new(ssrc: u32, clock_rate: u32, first: u16, now: Instant) -> Self {
        // Not 0: a packet that was overtaken by the first one has its place too.
        let first = 0x1_0000 + u64::from(first);
        Self {
            ssrc,
            clock_rate: u64::from(clock_rate),
            epoch: now,
            first,
            highest: first - 1,
            received: 0,
            reported: (0, 0),
            transit: None,
            jitter: 0,
            sender_report: None,
        }
    }

    /// A packet came; its extended sequence number.
    pub(super) fn packet(&mut self, seq: u16, timestamp: u32, now: Instant) -> u64 {
        let extended = extend(self.highest, seq);
        self.highest = self.highest.max(extended);
        self.received += 1;
        let since = now.saturating_duration_since(self.epoch).as_micros() as u64;
        let arrival = since.wrapping_mul(self.clock_rate) / 1_000_000;
        let transit = i64::from((arrival as u32).wrapping_sub(timestamp).cast_signed());
        if let Some(before) = self.transit.replace(transit) {
            let apart = i64::from(((transit - before) as i32).unsigned_abs());
            self.jitter += apart - ((self.jitter + 8) >> 4);
        }
        extended
    }

    /// Its sender reported.
    pub(super) fn sender_reported(&mut self, ntp: u64, now: Instant) {
        self.sender_report = Some((ntp_middle(ntp), now));
    }

    /// The block of the report that goes out now.
    pub(super) fn report(&mut self, now: Instant) -> ReportBlock {
        let expected = (self.highest + 1).saturating_sub(self.first);
        let (expected_before, received_before) =
            std::mem::replace(&mut self.reported, (expected, self.received));
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(self.received - received_before);
        let fraction_lost = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        let lost = expected.cast_signed() - self.received.cast_signed();
        let (lsr, dlsr) = self.sender_report.map_or((0, 0), |(lsr, at)| {
            let since = now.saturating_duration_since(at);
            (lsr, (since.as_micros() as u64 * 65_536 / 1_000_000) as u32)
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction_lost.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            // A.1 counts cycles from 0.
            highest_seq: self.highest.wrapping_sub(0x1_0000) as u32,
            jitter: (self.jitter >> 4) as u32,
            lsr,
            dlsr,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn loss_is_told_since_the_last_report_and_in_all() {
        let now = Instant::now();
        let mut source = Reception::new(7, 90_000, 65_530, now);
        for n in (0..100_u16).filter(|n| n % 4 != 3) {
            source.packet(65_530_u16.wrapping_add(n), u32::from(n) * 3000, now);
        }
        let block = source.report(now);
        assert_eq!((block.ssrc, block.fraction_lost), (7, 62));
        assert_eq!(block.cumulative_lost, 24);
        assert_eq!(block.highest_seq, 65_530 + 98);
        for n in 99..120_u16 {
            source.packet(65_530_u16.wrapping_add(n), u32::from(n) * 3000, now);
        }
        let block = source.report(now);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 24));
        assert_eq!((block.lsr, block.dlsr), (0, 0));
    }

    /// RFC 3550 A.8: a steady source has no jitter; one packet 10 ms late adds a sixteenth of that.
    #[test]
    fn jitter_is_smoothed() {
        let start = Instant::now();
        let mut source = Reception::new(7, 90_000, 0, start);
        for n in 0..50_u32 {
            let now = start + Duration::from_millis(u64::from(n) * 20);
            source.packet(n as u16, n * 1800, now);
        }
        assert_eq!(source.report(start).jitter, 0);
        source.packet(50, 50 * 1800, start + Duration::from_millis(1010));
        assert_eq!(source.report(start).jitter, 900 / 16);
    }

    #[test]
    fn the_senders_report_comes_back_with_its_age() {
        let now = Instant::now();
        let mut source = Reception::new(7, 90_000, 0, now);
        source.sender_reported(0x1234_5678_9abc_def0, now);
        let block = source.report(now + Duration::from_millis(1500));
        assert_eq!((block.lsr, block.dlsr), (0x5678_9abc, 65_536 * 3 / 2));
    }

    #[test]
    fn the_nearest_number_is_meant() {
        assert_eq!(extend(0x1_ffff, 0), 0x2_0000);
        assert_eq!(extend(0x2_0000, 0xffff), 0x1_ffff);
        assert_eq!(extend(5, 0xffff), 0xffff);
        assert_eq!(extend(0x1_8000, 0), 0x1_0000);
    }
}
