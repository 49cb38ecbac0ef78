//! The H264 parameter sets of a run, for key frames that come without them.

use crate::rtp::codec::{Codec, h264};

/// Last SPS and PPS of a run, kept as the STAP-A (RFC 6184 §5.7.1) that carries them.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
    stap_a: Vec<u8>,
}

impl ParameterSets {
    /// Takes the sets out of a payload that has some. Only H264 needs it: see [`ParameterSets::is_complete`].
    pub(super) fn learn(&mut self, codec: Codec, payload: &[u8]) {
        if codec != Codec::H264 {
            return;
        }
        for unit in h264::whole_units(payload) {
            let kept = match unit.first().map_or(0, |byte| byte & 0x1f) {
                h264::nal::SPS => &mut self.sps,
                h264::nal::PPS => &mut self.pps,
                _ => continue,
            };
            if kept != unit {
                kept.clear();
                kept.extend_from_slice(unit);
                self.stap_a.clear();
            }
        }
        if self.stap_a.is_empty() && self.is_complete() {
            self.stap_a.push(h264::nal::STAP_A | self.sps[0] & 0x60);
            for unit in [&self.sps, &self.pps] {
                let len = u16::try_from(unit.len()).unwrap_or(0);
                self.stap_a.extend_from_slice(&len.to_be_bytes());
                self.stap_a.extend_from_slice(unit);
            }
        }
    }

    /// Whether both sets are known and fit into one packet.
    pub(super) fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty() && self.sps.len() + self.pps.len() < 1100
    }

    /// One payload with both.
    pub(super) fn as_stap_a(&self) -> &[u8] {
        &self.stap_a
    }
}
