//! The two cryptographic transforms behind one face.

use super::cm::Cm;
use super::derive::{Master, SessionKeys, Usage};
use super::gcm::Gcm;
use super::{Profile, SrtpError};

/// One usage (SRTP or SRTCP) in one direction. Both transforms keep their key schedules on the heap.
pub(super) enum Transform {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl Transform {
    pub(super) fn new(master: &Master, usage: Usage) -> Result<Self, SrtpError> {
        Self::of_session(master.profile, &master.session(usage)?)
    }

    pub(super) fn of_session(profile: Profile, session: &SessionKeys) -> Result<Self, SrtpError> {
        Ok(match profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
                Self::Gcm(Gcm::new(profile, session)?)
            }
            Profile::Aes128CmHmacSha1_80 => Self::Cm(Box::new(Cm::new(session)?)),
        })
    }

    /// Bytes added to an RTP packet.
    #[inline]
    pub(super) fn rtp_overhead(&self) -> usize {
        match self {
            Self::Gcm(_) => 16,
            Self::Cm(_) => 10,
        }
    }

    /// Seals into exactly `header + payload + rtp_overhead` bytes; None where a length is wrong.
    #[inline]
    pub(super) fn seal_rtp(
        &self,
        header: &[u8],
        payload: &[u8],
        index: u64,
        out: &mut [u8],
    ) -> Option<()> {
        let ssrc = word_at(header, 8)?;
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(ssrc, header, payload, index, out),
            Self::Cm(cm) => cm.seal_rtp(ssrc, header, payload, index, out),
        }
    }

    /// Opens in place; the plain length comes back.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        packet: &mut [u8],
        header_len: usize,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(ssrc, packet, header_len, index),
            Self::Cm(cm) => cm.open_rtp(ssrc, packet, header_len, index),
        }
    }

    /// Seals into exactly `packet + rtp_overhead + 4` bytes; None where a length is wrong.
    pub(super) fn seal_rtcp(&self, packet: &[u8], index: u32, out: &mut [u8]) -> Option<()> {
        let ssrc = word_at(packet, 4)?;
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(ssrc, packet, index, out),
            Self::Cm(cm) => cm.seal_rtcp(ssrc, packet, index, out),
        }
    }

    /// E bit and index of an SRTCP packet (RFC 3711 §3.4).
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Option<u32> {
        match self {
            Self::Gcm(_) => Gcm::rtcp_word(packet),
            Self::Cm(_) => Cm::rtcp_word(packet),
        }
    }

    /// Opens in place; the plain length comes back.
    pub(super) fn open_rtcp(
        &self,
        ssrc: u32,
        packet: &mut [u8],
        word: u32,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(ssrc, packet, word),
            Self::Cm(cm) => cm.open_rtcp(ssrc, packet, word),
        }
    }
}

/// A 32-bit word in network order, where there is one.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}
