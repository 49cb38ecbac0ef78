//! Replay windows and the index of a packet (RFC 3711 §3.3.1, §3.3.2), per source.

use super::SrtpError;

/// Most sources of a peer: a WHIP client sends three simulcast layers, their RTX and FEC, and audio.
const SOURCES_MAX: usize = 16;

/// What was seen of one source; `WORDS` times 64 packets back.
#[derive(Debug, Clone)]
pub(super) struct Window<const WORDS: usize> {
    ssrc: u32,
    highest: u64,
    /// Bit `i % size` is index `i`, for the `size` indices up to `highest`.
    seen: [u64; WORDS],
}

/// The windows of all sources of a peer. A source gets one when its first packet is authentic.
#[derive(Debug, Default)]
pub(super) struct Windows<const WORDS: usize> {
    windows: Vec<Window<WORDS>>,
}

impl<const WORDS: usize> Windows<WORDS> {
    pub(super) fn of(&self, ssrc: u32) -> Option<&Window<WORDS>> {
        self.windows.iter().find(|window| window.ssrc == ssrc)
    }

    /// Before authentication: an index that is new, of a source there is room for.
    pub(super) fn check(&self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        match self.of(ssrc) {
            Some(window) if window.is_new(index) => Ok(()),
            Some(_) => Err(SrtpError::Replay),
            // An old source is not evicted for a new one: that would open the door to its packets again.
            None if self.windows.len() >= SOURCES_MAX => Err(SrtpError::Sources),
            None => Ok(()),
        }
    }

    /// After authentication. True where no later packet of this source came before.
    pub(super) fn accept(&mut self, ssrc: u32, index: u64) -> bool {
        match self.windows.iter_mut().find(|window| window.ssrc == ssrc) {
            Some(window) => {
                let newest = index > window.highest;
                window.accept(index);
                newest
            }
            None => {
                let mut window = Window {
                    ssrc,
                    highest: index,
                    seen: [0; WORDS],
                };
                window.mark(index);
                self.windows.push(window);
                true
            }
        }
    }
}

impl<const WORDS: usize> Window<WORDS> {
    const SIZE: u64 = WORDS as u64 * 64;

    /// The most likely 48-bit index of a sequence number (RFC 3711 §3.3.1, appendix A); None before the first.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let roc = self.highest >> 16;
        let last = (self.highest & 0xffff) as u16;
        let roc = if last < 0x8000 && sequence > last && sequence - last > 0x8000 {
            roc.checked_sub(1)?
        } else if last >= 0x8000 && last - 0x8000 > sequence {
            // 2^48 packets of one key are the end of it (RFC 3711 §9.2).
            (roc + 1 < 1 << 32).then_some(roc + 1)?
        } else {
            roc
        };
        Some((roc << 16) | u64::from(sequence))
    }

    fn is_new(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        self.highest - index < Self::SIZE && !self.is_marked(index)
    }

    fn accept(&mut self, index: u64) {
        if index > self.highest {
            let gap = index - self.highest;
            if gap >= Self::SIZE {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    self.clear(skipped);
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    fn place(index: u64) -> (usize, u64) {
        let bit = index % Self::SIZE;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn is_marked(&self, index: u64) -> bool {
        let (word, bit) = Self::place(index);
        self.seen[word] & bit != 0
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = Self::place(index);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, index: u64) {
        let (word, bit) = Self::place(index);
        self.seen[word] &= !bit;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn window_at(highest: u64) -> Window<2> {
        let mut window = Window {
            ssrc: 1,
            highest,
            seen: [0; 2],
        };
        window.mark(highest);
        window
    }

    #[test]
    fn the_last_roll_over_counter_has_no_successor() {
        let window = window_at((1 << 48) - 1);
        assert_eq!(window.estimate(0), None);
        assert_eq!(window.estimate(0xfff0), Some((1 << 48) - 16));
    }

    proptest! {
        #[test]
        fn a_window_knows_what_a_set_of_all_indices_knows(steps in prop::collection::vec(-140..140_i64, 1..400)) {
            let mut window = window_at(1000);
            let (mut seen, mut highest) = (HashSet::from([1000]), 1000_u64);
            for step in steps {
                let index = highest.saturating_add_signed(step);
                let is_new = !seen.contains(&index) && index + 128 > highest;
                prop_assert_eq!(window.is_new(index), is_new, "{} after {}", index, highest);
                if is_new {
                    window.accept(index);
                    seen.insert(index);
                    highest = highest.max(index);
                }
            }
        }

        #[test]
        fn the_estimate_is_the_nearest_index_of_its_sequence(highest in 0x1_0000..0xffff_0000_0000_u64, step in -0x7fff..0x7fff_i64) {
            let index = highest.saturating_add_signed(step);
            prop_assert_eq!(window_at(highest).estimate(index as u16), Some(index));
        }
    }
}
