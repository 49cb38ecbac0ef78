//! Which simulcast layer of a track is forwarded: the one with the most bits, since encoders name layers as they like.

use std::time::{Duration, Instant};

/// Between two looks at the rates.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A layer that sends nothing for this long is switched off by its sender.
const ACTIVE: Duration = Duration::from_millis(1500);

#[derive(Debug, Default, Clone)]
struct Layer {
    bytes: u64,
    rate: u64,
    last: Option<Instant>,
}

/// The layers of one track; a track without simulcast has one.
#[derive(Debug)]
pub(super) struct Layers {
    layers: Vec<Layer>,
    current: Option<usize>,
    wanted: Option<usize>,
    next_look: Option<Instant>,
}

impl Layers {
    pub(super) fn new(count: usize) -> Self {
        Self {
            layers: vec![Layer::default(); count.max(1)],
            current: None,
            wanted: None,
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
        self.current.is_none() || self.wanted == Some(layer)
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
            layer.rate = (layer.rate + std::mem::take(&mut layer.bytes)) / 2;
            let active = |at: Instant| now.saturating_duration_since(at) < ACTIVE;
            if !layer.last.is_some_and(active) {
                layer.rate = 0;
            }
        }
        let best = (0..self.layers.len()).max_by_key(|index| self.layers[*index].rate);
        let rate = |index: Option<usize>| index.map_or(0, |index| self.layers[index].rate);
        let better = best != self.current && rate(best) * 2 > rate(self.current) * 3;
        let wanted = best.filter(|_| better);
        std::mem::replace(&mut self.wanted, wanted) != wanted && wanted.is_some()
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
        let mut layers = Layers::new(3);
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

    #[test]
    fn layers_of_about_the_same_rate_are_not_swapped() {
        let mut now = Instant::now();
        let mut layers = Layers::new(2);
        layers.switch(0);
        for round in 0..20 {
            send(&mut layers, [1000 + round % 3, 1200, 0], now);
            now += LOOK_EVERY;
            assert!(!layers.look(now));
        }
    }
}
