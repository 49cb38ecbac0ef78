//! Who may speak on a leg: one SSRC at a time, each of its packets once and in order.

use std::time::{Duration, Instant};

use super::reorder::WINDOW;

/// How long the old SSRC must have been silent before a new one is taken.
pub(super) const TAKEOVER_SILENCE: Duration = Duration::from_millis(200);

/// RFC 3550 A.1: a packet this far behind is no late one; two in a row mean that the sender started anew.
const MAX_MISORDER: u16 = 100;

/// What the gate says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// The first packet of a new sender.
    NewRun { seq: u64 },
    /// The next packet, or one so far ahead that what is missing is lost.
    InOrder { seq: u64 },
    /// A packet that may have overtaken others; the gate still waits for them.
    Early { seq: u64 },
    /// Another SSRC while the first still sends.
    SecondSsrc,
    /// Late or a duplicate.
    Stale,
}

/// The gate of one media.
#[derive(Debug, Default)]
pub(super) struct Gate {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    last_seen: Instant,
    said_bye: bool,
    /// Extended sequence number expected next.
    next: u64,
    restart: Option<u16>,
}

impl Gate {
    pub(super) fn admit(&mut self, ssrc: u32, seq: u16, now: Instant) -> Admission {
        let Some(source) = &mut self.source else {
            return self.take(ssrc, seq, now);
        };
        if source.ssrc != ssrc {
            let silent = now.saturating_duration_since(source.last_seen) >= TAKEOVER_SILENCE;
            if silent || source.said_bye {
                return self.take(ssrc, seq, now);
            }
            return Admission::SecondSsrc;
        }
        source.last_seen = now;
        let ahead = seq.wrapping_sub(source.next as u16);
        if ahead < 0x8000 {
            let seq = source.next + u64::from(ahead);
            source.restart = None;
            if (1..=WINDOW).contains(&ahead) {
                return Admission::Early { seq };
            }
            source.next = seq + 1;
            return Admission::InOrder { seq };
        }
        if ahead.wrapping_neg() > MAX_MISORDER {
            if source.restart == Some(seq) {
                return self.take(ssrc, seq, now);
            }
            source.restart = Some(seq.wrapping_add(1));
        }
        Admission::Stale
    }

    /// Another SSRC may come at once.
    pub(super) fn open(&mut self) {
        if let Some(source) = &mut self.source {
            source.said_bye = true;
        }
    }

    /// Whether that SSRC is the one that may speak.
    pub(super) fn speaks(&self, ssrc: u32) -> bool {
        self.source
            .as_ref()
            .is_some_and(|source| source.ssrc == ssrc)
    }

    /// The sequence number that is waited for.
    pub(super) fn next_seq(&self) -> Option<u64> {
        self.source.as_ref().map(|source| source.next)
    }

    /// Everything up to `seq` is there or given up.
    pub(super) fn reached(&mut self, seq: u64) {
        if let Some(source) = &mut self.source {
            source.next = source.next.max(seq + 1);
        }
    }

    /// The sender said goodbye: the next SSRC need not wait.
    pub(super) fn bye(&mut self, ssrc: u32) {
        if let Some(source) = &mut self.source {
            source.said_bye |= source.ssrc == ssrc;
        }
    }

    fn take(&mut self, ssrc: u32, seq: u16, now: Instant) -> Admission {
        let seq = u64::from(seq);
        self.source = Some(Source {
            ssrc,
            last_seen: now,
            said_bye: false,
            next: seq + 1,
            restart: None,
        });
        Admission::NewRun { seq }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_second_ssrc_waits_for_200_ms_of_silence() {
        let (mut gate, t) = (Gate::default(), Instant::now());
        assert_eq!(gate.admit(1, 5, t), Admission::NewRun { seq: 5 });
        assert_eq!(gate.admit(2, 9, t + ms(199)), Admission::SecondSsrc);
        assert_eq!(
            gate.admit(2, 10, t + ms(200)),
            Admission::NewRun { seq: 10 }
        );
        assert_eq!(gate.admit(1, 6, t + ms(201)), Admission::SecondSsrc);
    }

    #[test]
    fn a_goodbye_opens_the_gate_at_once() {
        let (mut gate, t) = (Gate::default(), Instant::now());
        gate.admit(1, 5, t);
        gate.bye(7);
        assert_eq!(gate.admit(2, 9, t), Admission::SecondSsrc);
        gate.bye(1);
        assert_eq!(gate.admit(2, 9, t), Admission::NewRun { seq: 9 });
    }

    #[test]
    fn sequence_numbers_wrap_many_times_without_a_break() {
        let (mut gate, t) = (Gate::default(), Instant::now());
        gate.admit(1, 65_000, t);
        for n in 1..400_000u64 {
            let seq = 65_000 + n;
            assert_eq!(gate.admit(1, seq as u16, t), Admission::InOrder { seq });
        }
    }

    #[test]
    fn a_hole_is_waited_for_until_it_is_given_up() {
        let (mut gate, t) = (Gate::default(), Instant::now());
        gate.admit(1, 65_534, t);
        let early = Admission::Early { seq: 65_537 };
        assert_eq!(gate.admit(1, 1, t), early);
        assert_eq!(gate.admit(1, 65_535, t), Admission::InOrder { seq: 65_535 });
        assert_eq!(gate.admit(1, 65_535, t), Admission::Stale);
        gate.reached(65_537);
        assert_eq!(gate.admit(1, 0, t), Admission::Stale);
        assert_eq!(gate.admit(1, 2, t), Admission::InOrder { seq: 65_538 });
        let far = u64::from(WINDOW) + 1;
        assert_eq!(
            gate.admit(1, 3 + far as u16, t),
            Admission::InOrder { seq: 65_539 + far }
        );
    }

    #[test]
    fn a_sender_that_starts_anew_under_its_ssrc_is_taken_at_the_second_packet() {
        let (mut gate, t) = (Gate::default(), Instant::now());
        gate.admit(1, 5000, t);
        assert_eq!(gate.admit(1, 100, t), Admission::Stale);
        assert_eq!(gate.admit(1, 101, t), Admission::NewRun { seq: 101 });
    }
}
