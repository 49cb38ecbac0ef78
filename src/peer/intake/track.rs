//! One medium of a publisher: what was answered for it, its layers, and when it is asked for a key frame.

use std::time::{Duration, Instant};

use super::layers::Layers;
use crate::rtp::Media;
use crate::rtp::codec::{Codec, inspect};

/// A publisher that began without a key frame is asked for one after this.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// Between two requests: each makes the picture large.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// … and where one layer is watched, after this: others are sent in good order.
const FIRST_WAIT_LAYER: Duration = Duration::from_millis(40);
/// A request that brought nothing is repeated.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What the answer promised for a medium, and what the ingest calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeSetup {
    /// What was answered.
    pub codec: Codec,
    /// The offer's payload type.
    pub payload_type: u8,
    /// Its RTX payload type, where negotiated.
    pub rtx: Option<u8>,
    /// The payload type the ingest expects.
    pub ingest_payload_type: u8,
    /// Restriction ids of the simulcast layers; empty without simulcast.
    pub rids: Vec<String>,
    /// It repairs what is asked for by generic NACK.
    pub nack: bool,
    /// It knows PLI; else it is asked by FIR.
    pub pli: bool,
}

/// The state of one medium.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) setup: IntakeSetup,
    pub(super) layers: Layers,
    media: Media,
    begun: bool,
    needs_keyframe: bool,
    ask_at: Option<Instant>,
    asked: Option<Instant>,
}

impl Track {
    /// `rid` is the layer to forward, where there are several and it is among them; else the best is.
    pub(super) fn new(media: Media, setup: IntakeSetup, rid: Option<&str>) -> Self {
        let wish = rid.and_then(|rid| setup.rids.iter().position(|it| it == rid));
        Self {
            layers: Layers::new(setup.rids.len(), wish),
            setup,
            media,
            begun: false,
            needs_keyframe: false,
            ask_at: None,
            asked: None,
        }
    }

    /// It sends.
    pub(super) fn began(&mut self, now: Instant) {
        if self.media == Media::Video && !std::mem::replace(&mut self.begun, true) {
            self.needs_keyframe = true;
            let wait = if self.layers.has_wish() {
                FIRST_WAIT_LAYER
            } else {
                FIRST_WAIT
            };
            self.ask_at = Some(now + wait);
        }
    }

    /// Pictures are broken until a key frame comes.
    pub(super) fn lost(&mut self, now: Instant) {
        self.needs_keyframe |= self.media == Media::Video;
        self.want_keyframe(now);
    }

    /// Somebody wants a key frame.
    pub(super) fn want_keyframe(&mut self, now: Instant) {
        if self.media == Media::Video {
            let soonest = self.asked.map_or(now, |asked| now.max(asked + ASK_EVERY));
            let planned = self.ask_at.unwrap_or(soonest);
            self.ask_at = Some(planned.min(soonest));
        }
    }

    /// When a key frame is to be asked for.
    pub(super) fn ask_due(&self) -> Option<Instant> {
        self.ask_at
    }

    /// Whether a key frame is to be asked for now; then it counts as asked for.
    pub(super) fn take_ask(&mut self, now: Instant) -> bool {
        if self.ask_at.is_none_or(|at| at > now) {
            return false;
        }
        self.asked = Some(now);
        let again = self.needs_keyframe || self.layers.wanted().is_some();
        self.ask_at = again.then_some(now + ASK_AGAIN);
        true
    }

    /// A payload is forwarded.
    pub(super) fn forwarded(&mut self, payload: &[u8]) {
        if self.needs_keyframe && self.can_begin(payload) {
            self.needs_keyframe = false;
            self.ask_at = None;
        }
    }

    /// A decoder can begin with this packet.
    pub(super) fn can_begin(&self, payload: &[u8]) -> bool {
        inspect(self.setup.codec, payload)
            .is_ok_and(|facts| facts.sequence_header || facts.keyframe_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn track(media: Media) -> Track {
        let setup = IntakeSetup {
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: None,
            ingest_payload_type: 100,
            rids: Vec::new(),
            nack: true,
            pli: true,
        };
        Track::new(media, setup, None)
    }

    const KEY: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];

    #[test]
    fn a_publisher_is_asked_until_a_key_frame_comes() {
        let (mut track, t) = (track(Media::Video), Instant::now());
        track.began(t);
        assert_eq!(track.ask_due(), Some(t + FIRST_WAIT));
        assert!(!track.take_ask(t) && track.take_ask(t + ms(300)));
        assert!(track.take_ask(t + ms(1300)), "it may have been lost");
        track.forwarded(&KEY);
        assert_eq!(track.ask_due(), None);
    }

    #[test]
    fn wishes_are_throttled_and_a_loss_is_a_wish() {
        let (mut track, t) = (track(Media::Video), Instant::now());
        track.want_keyframe(t);
        assert!(track.take_ask(t));
        track.want_keyframe(t + ms(10));
        assert!(!track.take_ask(t + ms(499)) && track.take_ask(t + ms(500)));
        assert_eq!(track.ask_due(), None);
        track.lost(t + ms(2000));
        assert!(track.take_ask(t + ms(2000)));
        assert_eq!(track.ask_due(), Some(t + ms(3000)));
    }

    #[test]
    fn sound_has_no_key_frames() {
        let (mut track, t) = (track(Media::Audio), Instant::now());
        track.began(t);
        track.lost(t);
        assert_eq!(track.ask_due(), None);
    }
}
