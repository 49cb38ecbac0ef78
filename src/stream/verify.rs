//! Is this run really the codec the leg was promised? Until it is proven no packet of the run reaches a viewer.
//!
//! What FFmpeg sends by `copy` is whatever the source had: HEVC, MPEG-4 or MPEG-2 under the payload type of H264. Proven is
//! H264 (or H265, AV1) by a whole access unit with parameter sets in front of a key picture, every packet of it parsing and
//! every fragment going on where the last one stopped; VP8 and VP9 by a key frame with its start code; Opus by two packets
//! whose timestamps lie as far apart as the first one plays (video sent to an audio leg shares one timestamp per frame).

use std::time::{Duration, Instant};

use crate::rtp::codec::{Codec, NotThisCodec, PayloadFacts, inspect, opus};

/// A run that proves nothing for so long, in so many packets, is not what it should be.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same for a run that was not heard from its beginning: long groups of pictures are its right.
const PATIENCE_LATE: Duration = Duration::from_secs(15);
const PATIENCE_PACKETS: u64 = 10;

/// What one run has shown so far.
#[derive(Debug)]
pub(super) struct Verifier {
    codec: Codec,
    patience: Duration,
    verified: bool,
    /// A packet did not parse: the run is taken for another codec until it proves itself.
    pub(super) mismatch: bool,
    since: Option<Instant>,
    packets: u64,
    unit: AccessUnit,
    unfinished: Option<(u64, u8)>,
    sound: Option<(u64, u32, u32)>,
    /// profile_idc, constraints, level_idc of the last SPS.
    pub(super) profile_level_id: Option<[u8; 3]>,
}

/// What is known of the frame being received.
#[derive(Debug, Default)]
struct AccessUnit {
    sequence_header: bool,
    picture_header: bool,
    keyframe: bool,
    refused: bool,
}

/// What a packet adds to its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing to start decoding at.
    No,
    /// A decoder can start at this frame.
    Keyframe,
    /// A key picture without its parameter sets in the frame.
    BareKeyframe,
}

impl Verifier {
    pub(super) fn new(codec: Codec, late: bool) -> Self {
        Self {
            codec,
            patience: if late { PATIENCE_LATE } else { PATIENCE },
            verified: false,
            mismatch: false,
            since: None,
            packets: 0,
            unit: AccessUnit::default(),
            unfinished: None,
            sound: None,
            profile_level_id: None,
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified
    }

    /// The frame is complete (or the batch that began it): true where it proves the codec.
    pub(super) fn frame_closed(&mut self) -> bool {
        self.verified |= self.codec != Codec::Opus && self.unit.keyframe;
        self.verified
    }

    /// A packet with another timestamp follows.
    pub(super) fn next_frame(&mut self) {
        self.unit = AccessUnit::default();
    }

    /// Looks at one packet of the run. An error means that it must not go on, and its frame with it while unproven.
    pub(super) fn packet(
        &mut self,
        seq: u64,
        timestamp: u32,
        payload: &[u8],
        now: Instant,
    ) -> Result<(PayloadFacts, Start), NotThisCodec> {
        self.packets += 1;
        self.since.get_or_insert(now);
        let facts = match self.parse(seq, timestamp, payload) {
            Ok(facts) => facts,
            Err(error) => {
                self.unit.refused = true;
                self.unfinished = None;
                self.mismatch |= !self.verified;
                return Err(error);
            }
        };
        if self.unit.refused && !self.verified {
            return Err(NotThisCodec("rest of a refused frame"));
        }
        if facts.profile_level_id.is_some() {
            self.profile_level_id = facts.profile_level_id;
        }
        self.unit.sequence_header |= facts.sequence_header;
        self.unit.picture_header |= facts.picture_header;
        Ok((facts, self.start(&facts)))
    }

    /// Parameter sets are put in front of the frame: it is a key frame after all.
    pub(super) fn completed(&mut self) {
        self.unit.keyframe = true;
    }

    /// The run had its time and proved nothing.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        !self.verified
            && self.packets >= PATIENCE_PACKETS
            && self
                .since
                .is_some_and(|since| now.saturating_duration_since(since) >= self.patience)
    }

    fn parse(
        &mut self,
        seq: u64,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<PayloadFacts, NotThisCodec> {
        let facts = inspect(self.codec, payload)?;
        if !self.verified {
            self.consistent(seq, timestamp, payload, &facts)?;
        }
        Ok(facts)
    }

    fn start(&mut self, facts: &PayloadFacts) -> Start {
        let headers = self.unit.sequence_header && self.unit.picture_header;
        if self.unit.keyframe || !facts.picture_start {
            Start::No
        } else if headers && (facts.keyframe_start || facts.intra_start) {
            self.unit.keyframe = true;
            Start::Keyframe
        } else if facts.keyframe_start {
            Start::BareKeyframe
        } else {
            Start::No
        }
    }

    fn consistent(
        &mut self,
        seq: u64,
        timestamp: u32,
        payload: &[u8],
        facts: &PayloadFacts,
    ) -> Result<(), NotThisCodec> {
        if self.codec == Codec::Opus {
            return self.sounds_right(seq, timestamp, payload);
        }
        // Over a hole in the sequence nothing is known; without one a fragment must follow its own kind.
        let before = self.unfinished.take();
        self.unfinished = facts.unfinished.map(|kind| (seq, kind));
        match before {
            Some((at, kind)) if at + 1 == seq && facts.continues != Some(kind) => {
                Err(NotThisCodec("a fragment is not continued"))
            }
            _ => Ok(()),
        }
    }

    fn sounds_right(
        &mut self,
        seq: u64,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<(), NotThisCodec> {
        let duration = opus::duration_ticks(payload)?;
        let before = self.sound.replace((seq, timestamp, duration));
        match before {
            Some((at, _, _)) if at + 1 != seq => Ok(()),
            Some((_, before, _)) if before == timestamp => {
                Err(NotThisCodec("several packets share a timestamp"))
            }
            Some((_, before, duration)) => {
                self.verified |= timestamp.wrapping_sub(before) == duration;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
