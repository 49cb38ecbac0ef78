//! One SSRC of a publisher, and the keeping of all of them.

use std::time::Instant;

use super::order::Order;
use super::reception::Reception;
use crate::rtp::Media;

/// SSRCs of one publisher: three layers with repair, audio, and room for a change of all.
const SOURCES_MAX: usize = 16;

/// One SSRC.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    pub(super) media: Media,
    pub(super) layer: usize,
    /// It carries RTX (RFC 4588).
    pub(super) repair: bool,
    pub(super) reception: Reception,
    /// Of a source that is forwarded.
    pub(super) order: Option<Order>,
    /// Packets without payload so far: the numbers behind them close up.
    pub(super) skipped: u64,
    pub(super) said_bye: bool,
    pub(super) last: Instant,
}

/// All SSRCs of a publisher.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    pub(super) fn find(&self, ssrc: u32) -> Option<usize> {
        self.0.iter().position(|source| source.ssrc == ssrc)
    }

    /// The media source of a layer.
    pub(super) fn of(&self, media: Media, layer: usize) -> Option<usize> {
        // The newest: a sender may have changed its SSRC.
        self.0
            .iter()
            .rposition(|source| source.media == media && source.layer == layer && !source.repair)
    }

    /// Takes a source in; where there are too many, the one that was silent longest goes.
    pub(super) fn add(&mut self, source: Source) -> usize {
        if self.0.len() >= SOURCES_MAX {
            let oldest = (0..self.0.len()).min_by_key(|index| self.0[*index].last);
            self.0.remove(oldest.unwrap_or(0));
        }
        self.0.push(source);
        self.0.len() - 1
    }

    pub(super) fn all(&self) -> &[Source] {
        &self.0
    }

    pub(super) fn all_mut(&mut self) -> &mut [Source] {
        &mut self.0
    }
}
