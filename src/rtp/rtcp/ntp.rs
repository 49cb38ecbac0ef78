//! NTP time in reports, and the round-trip time from them (RFC 3550 §4, §6.4.1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ReportBlock;

/// From 1900 to 1970.
const UNIX_TO_NTP_S: u64 = 2_208_988_800;
/// Units of the middle 32 bits.
const PER_SECOND: u64 = 1 << 16;

/// NTP time, 32.32 fixed point; wraps in 2036 as NTP does.
#[must_use]
pub fn ntp_from(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(UNIX_TO_NTP_S);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

/// The middle 32 bits, as a report block's `lsr` has them.
#[must_use]
pub fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

impl ReportBlock {
    /// The round-trip time of a block that came at `now_ntp`: A − LSR − DLSR (RFC 3550 §6.4.1). None before the
    /// receiver had a sender report, or where the block speaks of the future by more than its rounding.
    #[must_use]
    pub fn round_trip(&self, now_ntp: u64) -> Option<Duration> {
        if self.lsr == 0 {
            return None;
        }
        let units = ntp_middle(now_ntp)
            .wrapping_sub(self.lsr)
            .wrapping_sub(self.dlsr);
        // Rounding and a clock that was set back a little make it slightly negative on short paths.
        let negative = u64::from(units.wrapping_neg());
        if units >= 1 << 31 {
            return (negative < PER_SECOND).then_some(Duration::ZERO);
        }
        Some(Duration::from_nanos(
            u64::from(units) * 1_000_000_000 / PER_SECOND,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_time_counts_from_1900_in_fractions_of_a_second() {
        let time = UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(ntp_from(time), (2_208_988_801 << 32) | (1 << 31));
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(ntp_from(before), 2_208_988_800 << 32);
        let in_2036 = UNIX_EPOCH + Duration::from_secs((1 << 32) - UNIX_TO_NTP_S + 3);
        assert_eq!(ntp_from(in_2036), 3 << 32);
    }

    /// The example of RFC 3550 §6.4.1, figure 2.
    #[test]
    fn round_trip_is_that_of_the_figure_in_rfc_3550() {
        let block = ReportBlock {
            lsr: 0xb705_2000,
            dlsr: 0x0005_4000,
            ..ReportBlock::default()
        };
        let now = 0xb710_8000_u64 << 16;
        assert_eq!(block.round_trip(now), Some(Duration::from_millis(6_125)));
    }

    #[test]
    fn round_trip_is_none_without_a_report_zero_within_rounding_and_none_in_the_future() {
        let block = |lsr, dlsr| ReportBlock {
            lsr,
            dlsr,
            ..ReportBlock::default()
        };
        let now = 0x0010_0000_u64 << 16;
        assert_eq!(block(0, 0).round_trip(now), None);
        assert_eq!(block(0x000f_ffff, 3).round_trip(now), Some(Duration::ZERO));
        assert_eq!(block(0x0010_0000, 0x0002_0000).round_trip(now), None);
    }
}
