//! Which simulcast layer of a track is forwarded: the one with the most bits, since encoders name layers as they like; or
//! the one that is wished for, and while that is not sent the next smaller one.

use std::time::{Duration, Instant};

/// Between two looks at the rates.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A layer that sends nothing for this long is switched off by its sender.
const ACTIVE: Duration = Duration::from_millis(1500);

#[derive(Debug, Default, Clone)]
struct Layer {
    bytes: u64,
    rate: u64,
    /// Its rate when it was last sent: how large it is.
    size: u64,
    last: Option<Instant>,
}

/// The layers of one track; a track without simulcast has one.
#[derive(Debug)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    current: Option<usize>,
    wanted: Option<usize>,
    wish: Option<usize>,
    next_look: Option<Instant>,
}

impl Layers {
    /// So many layers; `wish` is the one to forward, None the best.
    pub(super) fn new(count: usize, wish: Option<usize>) -> Self {
        Self {
            layers: vec![Layer::default(); count.max(1)],
            current: None,
            wanted: wish,
            wish,
            next_look: None,
        }
    }

    /// The layer that is forwarded.
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    /// The layer that shall be, once it has a key frame: ask it for one.
    pub(super) fn wanted(&self) -> Option<usize> {
        self.wanted
    }

    /// A packet of a layer came. True where this layer may be taken, if a decoder can start at the packet.
    pub(super) fn packet(&mut self, layer: usize, bytes: usize, now: Instant) -> bool {
        let Some(known) = self.layers.get_mut(layer) else {
            return false;
        };
        known.bytes += bytes as u64;
        known.last = Some(now);
        self.next_look.get_or_insert(now + LOOK_EVERY);
        if self.current == Some(layer) {
            return false;
        }
        let anything = self.current.is_none() && self.wish.is_none();
        anything || self.wanted == Some(layer)
    }

    /// A certain layer is wished for.
    pub(super) fn has_wish(&self) -> bool {
        self.wish.is_some()
    }

    /// What each layer brings now, bit/s; 0 where it is not sent.
    pub(super) fn rates_bps(&self) -> impl Iterator<Item = u64> {
        let looks = 1000 / LOOK_EVERY.as_millis() as u64;
        self.layers.iter().map(move |layer| layer.rate * 8 * looks)
    }

    /// This layer is forwarded from now on.
    pub(super) fn switch(&mut self, layer: usize) {
        self.current = Some(layer);
        self.wanted = None;
    }

    /// When [`Layers::look`] wants to be called; a single layer needs no look.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next_look.filter(|_| self.layers.len() > 1)
    }

    /// Measures, and chooses anew. True where another layer is wanted now.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        self.next_look = Some(now + LOOK_EVERY);
        for layer in &mut self.layers {
            // Half old, half new: one large key frame does not make a layer the best.
            let bytes = std::mem::take(&mut layer.bytes);
            layer.rate = (layer.rate + bytes) / 2;
            if bytes > 0 {
                layer.size = layer.rate;
            }
            if !layer.is_active(now) {
                layer.rate = 0;
            }
        }
        let wanted = match self.wish {
            Some(wish) => self
                .nearest(wish, now)
                .filter(|layer| Some(*layer) != self.current),
            None => self.better(),
        };
        std::mem::replace(&mut self.wanted, wanted) != wanted && wanted.is_some()
    }

    /// The best layer, if it is much better than what is forwarded.
    fn better(&self) -> Option<usize> {
        let best = (0..self.layers.len()).max_by_key(|index| self.layers[*index].rate);
        let rate = |index: Option<usize>| index.map_or(0, |index| self.layers[index].rate);
        let better = best != self.current && rate(best) * 2 > rate(self.current) * 3;
        best.filter(|_| better)
    }

    /// The layer wished for if it is sent, else the largest one below it, else the smallest above.
    fn nearest(&self, wish: usize, now: Instant) -> Option<usize> {
        if self.layers[wish].is_active(now) {
            return Some(wish);
        }
        // One that was never seen is one that its sender can't afford: the largest.
        let size = match self.layers[wish].size {
            0 => u64::MAX,
            size => size,
        };
        let sent = || (0..self.layers.len()).filter(|index| self.layers[*index].is_active(now));
        let of = |index: &usize| self.layers[*index].size;
        let below = sent().filter(|index| of(index) <= size).max_by_key(of);
        below.or_else(|| sent().min_by_key(of))
    }
}

impl Layer {
    fn is_active(&self, now: Instant) -> bool {
        let recent = |at: Instant| now.saturating_duration_since(at) < ACTIVE;
        self.last.is_some_and(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(layers: &mut Layers, bytes: [usize; 3], now: Instant) {
        for (layer, bytes) in bytes.into_iter().enumerate() {
            if bytes > 0 {
                layers.packet(layer, bytes, now);
            }
        }
    }

    #[test]
    fn the_largest_layer_is_taken_whatever_its_place_and_left_when_it_stops() {
        let mut now = Instant::now();
        let mut layers = Layers::new(3, None);
        assert!(layers.packet(0, 100, now), "anything to begin with");
        layers.switch(0);
        send(&mut layers, [100, 0, 0], now);
        now += LOOK_EVERY;
        assert!(!layers.look(now));
        for _ in 0..3 {
            send(&mut layers, [1000, 9000, 3000], now);
            now += LOOK_EVERY;
            layers.look(now);
        }
        assert_eq!((layers.current(), layers.wanted()), (Some(0), Some(1)));
        assert!(!layers.packet(2, 1, now) && layers.packet(1, 1, now));
        layers.switch(1);
        for _ in 0..4 {
            send(&mut layers, [1000, 0, 3000], now);
            now += LOOK_EVERY;
            layers.look(now);
        }
        assert_eq!(layers.wanted(), Some(2));
    }

    /// Bytes in each half second, then what is wanted once its key frame is taken.
    fn after(
        layers: &mut Layers,
        bytes: [usize; 3],
        halves: u32,
        now: &mut Instant,
    ) -> Option<usize> {
        for _ in 0..halves {
            send(layers, bytes, *now);
            *now += LOOK_EVERY;
            layers.look(*now);
            if let Some(wanted) = layers.wanted() {
                layers.switch(wanted);
            }
        }
        layers.current()
    }

    #[test]
    fn the_layer_wished_for_is_taken_and_no_other_before_it() {
        let mut now = Instant::now();
        let mut layers = Layers::new(3, Some(2));
        assert!(!layers.packet(1, 9000, now), "larger, but not wished for");
        assert!(layers.packet(2, 3000, now));
        layers.switch(2);
        let at = after(&mut layers, [1000, 9000, 3000], 10, &mut now);
        assert_eq!(at, Some(2));
        assert_eq!(layers.rates_bps().collect::<Vec<_>>()[2] / 1000, 48);
    }

    #[test]
    fn while_the_layer_wished_for_is_not_sent_the_next_smaller_one_is() {
        let mut now = Instant::now();
        let mut layers = Layers::new(3, Some(1));
        let all = [1000, 9000, 3000];
        assert_eq!(after(&mut layers, all, 4, &mut now), Some(1));
        assert_eq!(after(&mut layers, [1000, 0, 3000], 4, &mut now), Some(2));
        assert_eq!(after(&mut layers, [1000, 0, 0], 4, &mut now), Some(0));
        assert_eq!(after(&mut layers, all, 1, &mut now), Some(1), "and back");
        let mut smallest = Layers::new(3, Some(0));
        after(&mut smallest, all, 4, &mut now);
        assert_eq!(after(&mut smallest, [0, 9000, 3000], 4, &mut now), Some(2));
    }

    #[test]
    fn a_layer_that_never_came_counts_as_the_largest() {
        let mut now = Instant::now();
        let mut layers = Layers::new(3, Some(2));
        assert_eq!(after(&mut layers, [1000, 3000, 0], 2, &mut now), Some(1));
        assert_eq!(after(&mut layers, [0; 3], 4, &mut now), Some(1), "kept");
    }

    #[test]
    fn layers_of_about_the_same_rate_are_not_swapped() {
        let mut now = Instant::now();
        let mut layers = Layers::new(2, None);
        layers.switch(0);
        for round in 0..20 {
            send(&mut layers, [1000 + round % 3, 1200, 0], now);
            now += LOOK_EVERY;
            assert!(!layers.look(now));
        }
    }
}
