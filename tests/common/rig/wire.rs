//! A network in virtual time that loses, repeats, delays and thereby turns around; the same seed does the same again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use corertc::net::Path;

/// How bad the network is; per cent and a range of delays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        loss: 0,
        twice: 0,
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
    };
}

/// A datagram on its way.
pub(crate) struct Parcel {
    pub(crate) to_server: bool,
    pub(crate) path: Path,
    pub(crate) bytes: Vec<u8>,
}

/// Both directions.
pub(crate) struct Wire {
    pub(crate) weather: Weather,
    random: u64,
    number: u64,
    under_way: BTreeMap<(Instant, u64), Parcel>,
    /// To the client, after losses: (delivered, of these repeated).
    pub(crate) to_client: (u64, u64),
}

impl Wire {
    pub(crate) fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            number: 0,
            under_way: BTreeMap::new(),
            to_client: (0, 0),
        }
    }

    pub(crate) fn send(&mut self, to_server: bool, path: Path, bytes: Vec<u8>, now: Instant) {
        if self.draw(100) < self.weather.loss {
            return;
        }
        let copies = 1 + u64::from(self.draw(100) < self.weather.twice);
        if !to_server {
            self.to_client.0 += copies;
            self.to_client.1 += copies - 1;
        }
        for _ in 0..copies {
            let jitter_us = self.draw(self.weather.jitter.as_micros() as u64 + 1);
            let at = now + self.weather.delay + Duration::from_micros(jitter_us);
            self.number += 1;
            let bytes = bytes.clone();
            let parcel = Parcel {
                to_server,
                path,
                bytes,
            };
            self.under_way.insert((at, self.number), parcel);
        }
    }

    /// When the next one arrives.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// What has arrived.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Parcel> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Below `end` (xorshift).
    pub(crate) fn draw(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }
}
