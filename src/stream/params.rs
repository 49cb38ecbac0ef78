//! The parameter sets of a run, for key frames that come without them.

use crate::rtp::codec::{Codec, av1, h264, h265};

/// Sets longer than this together go into no packet of ours.
const LEN_MAX: usize = 1100;

/// Last parameter sets of a run, kept as the one payload that carries them: a STAP-A of SPS and PPS (RFC 6184 §5.7.1), an
/// AP of VPS, SPS and PPS (RFC 7798 §4.4.2), or a packet of AV1's sequence header.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    /// VPS, SPS, PPS; AV1's sequence header in place of the SPS.
    sets: [Vec<u8>; 3],
    packet: Vec<u8>,
}

impl ParameterSets {
    /// Takes the sets out of a payload that has some. VP8 and VP9 have none.
    pub(super) fn learn(&mut self, codec: Codec, payload: &[u8]) {
        match codec {
            Codec::H264 => {
                for unit in h264::whole_units(payload) {
                    match unit.first().map_or(0, |byte| byte & 0x1f) {
                        h264::nal::SPS => self.keep(1, unit),
                        h264::nal::PPS => self.keep(2, unit),
                        _ => {}
                    }
                }
            }
            Codec::H265 => {
                for unit in h265::whole_units(payload) {
                    match h265::kind_of(unit) {
                        Some(h265::nal::VPS) => self.keep(0, unit),
                        Some(h265::nal::SPS) => self.keep(1, unit),
                        Some(h265::nal::PPS) => self.keep(2, unit),
                        _ => {}
                    }
                }
            }
            Codec::Av1 => {
                if let Some(unit) = av1::sequence_header(payload) {
                    self.keep(1, unit);
                }
            }
            Codec::Vp8 | Codec::Vp9 | Codec::Opus => return,
        }
        if self.packet.is_empty() {
            self.write(codec);
        }
    }

    /// One payload with all of them; None while one is missing, or where they don't fit into a packet.
    pub(super) fn as_packet(&self) -> Option<&[u8]> {
        (!self.packet.is_empty()).then_some(self.packet.as_slice())
    }

    fn keep(&mut self, index: usize, unit: &[u8]) {
        let kept = &mut self.sets[index];
        if kept != unit {
            kept.clear();
            kept.extend_from_slice(unit);
            self.packet.clear();
        }
    }

    fn write(&mut self, codec: Codec) {
        let needed = match codec {
            Codec::H264 => &self.sets[1..],
            Codec::H265 => &self.sets[..],
            _ => &self.sets[1..2],
        };
        let missing = needed.iter().any(Vec::is_empty);
        if missing || needed.iter().map(Vec::len).sum::<usize>() > LEN_MAX {
            return;
        }
        match codec {
            Codec::H264 => self.packet.push(h264::nal::STAP_A | needed[0][0] & 0x60),
            // Layer 0, temporal id plus one: 1.
            Codec::H265 => self.packet.extend([h265::nal::AP << 1, 1]),
            _ => self.packet.push(av1::ONE_ELEMENT_NEW_SEQUENCE),
        }
        for unit in needed {
            if codec != Codec::Av1 {
                let len = u16::try_from(unit.len()).unwrap_or(0);
                self.packet.extend_from_slice(&len.to_be_bytes());
            }
            self.packet.extend_from_slice(unit);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rtp::codec::inspect;

    #[test]
    fn h265_sets_that_came_one_by_one_make_one_packet() {
        let mut sets = ParameterSets::default();
        let (vps, sps, pps) = ([0x40, 1, 0x0c], [0x42, 1, 1], [0x44, 1, 0xc0]);
        sets.learn(Codec::H265, &vps);
        sets.learn(Codec::H265, &sps);
        assert_eq!(sets.as_packet(), None);
        sets.learn(Codec::H265, &pps);
        let packet = sets.as_packet().unwrap().to_vec();
        let facts = inspect(Codec::H265, &packet).unwrap();
        assert!(facts.sequence_header && facts.picture_header && facts.other_header);
        let units: Vec<_> = h265::whole_units(&packet).collect();
        assert_eq!(units, [&vps[..], &sps[..], &pps[..]]);
        sets.learn(Codec::H265, &[0x44, 1, 0xc1]);
        assert_ne!(sets.as_packet().unwrap(), packet, "the newest counts");
    }

    #[test]
    fn an_av1_sequence_header_is_a_packet_of_its_own() {
        let mut sets = ParameterSets::default();
        sets.learn(Codec::Av1, &[0x28, 4, 0x08, 0, 0, 0, 0x30, 0x10]);
        let packet = sets.as_packet().unwrap();
        assert_eq!(packet, [0x18, 0x08, 0, 0, 0]);
        assert!(inspect(Codec::Av1, packet).unwrap().sequence_header);
    }

    #[test]
    fn sets_too_long_for_a_packet_are_not_offered() {
        let mut sets = ParameterSets::default();
        let mut long = vec![0x68; 1100];
        sets.learn(Codec::H264, &[0x67, 1, 2]);
        sets.learn(Codec::H264, &long);
        assert_eq!(sets.as_packet(), None);
        long.truncate(50);
        sets.learn(Codec::H264, &long);
        assert!(sets.as_packet().is_some());
    }
}
