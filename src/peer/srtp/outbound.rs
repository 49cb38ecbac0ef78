//! Sealing what a peer is sent.

use super::derive::{Master, Usage};
use super::transform::Transform;
use super::{Keys, SrtpError};

/// SRTCP indices are 31 bits; a stream ends before one comes twice (RFC 3711 §9.2).
const RTCP_INDEX_END: u32 = 1 << 31;
/// RFC 3550 §5.1.
const RTP_HEADER_MIN: usize = 12;

/// Session keys of what we send to one peer. The caller counts RTP indices, this counts RTCP's.
pub struct Outbound {
    rtp: Transform,
    rtcp: Transform,
    /// One counter for all sources: a pair of SSRC and index can't come twice whoever sends.
    next_rtcp_index: u32,
}

impl Outbound {
    /// Derives the session keys of the local direction.
    pub fn new(keys: &Keys) -> Result<Self, SrtpError> {
        let master = Master::local(keys)?;
        Ok(Self {
            rtp: Transform::new(&master, Usage::Rtp)?,
            rtcp: Transform::new(&master, Usage::Rtcp)?,
            // RFC 3711 §3.4 begins at 0; libsrtp and thus every browser at 1, and some receivers take 0 for a replay.
            next_rtcp_index: 1,
        })
    }

    /// Appends header ‖ ciphertext ‖ tag to `out`.
    ///
    /// `index` is ROC·2^16 + sequence number, 48 bits: one never sealed before with this SSRC, but for an identical
    /// packet. The SSRC is read from `header`, which holds CSRCs and extensions too, if any. A header under 12 bytes
    /// or an index over 48 bits appends nothing.
    #[inline]
    pub fn seal_rtp(&self, header: &[u8], payload: &[u8], index: u64, out: &mut Vec<u8>) {
        let start = out.len();
        let sealed_len = header.len() + payload.len() + self.rtp.rtp_overhead();
        out.resize(start + sealed_len, 0);
        if self.seal_rtp_into(header, payload, index, &mut out[start..]) == 0 {
            out.truncate(start);
        }
    }

    /// [`Outbound::seal_rtp_into`] of a payload that is changed on its way. No other payload may ever have this index.
    /// `out` has room for the payload once more.
    pub fn seal_rtp_changed(
        &self,
        header: &[u8],
        payload: &[u8],
        index: u64,
        change: impl FnOnce(&mut [u8]),
        out: &mut [u8],
    ) -> usize {
        let sealed_len = header.len() + payload.len() + self.rtp.rtp_overhead();
        let Some((sealed, rest)) = out.split_at_mut_checked(sealed_len) else {
            return 0;
        };
        // The changed copy stands behind what comes of it.
        let Some(plain) = rest.get_mut(..payload.len()) else {
            return 0;
        };
        plain.copy_from_slice(payload);
        change(plain);
        self.seal_rtp_into(header, plain, index, sealed)
    }

    /// [`Outbound::seal_rtp`] to the beginning of `out`: the length written, 0 where nothing was sealed, for the same
    /// reasons or since `out` is too small.
    #[inline]
    pub fn seal_rtp_into(
        &self,
        header: &[u8],
        payload: &[u8],
        index: u64,
        out: &mut [u8],
    ) -> usize {
        if header.len() < RTP_HEADER_MIN || index >> 48 != 0 {
            return 0;
        }
        let sealed_len = header.len() + payload.len() + self.rtp.rtp_overhead();
        out.get_mut(..sealed_len)
            .and_then(|out| self.rtp.seal_rtp(header, payload, index, out))
            .map_or(0, |()| sealed_len)
    }

    /// Appends the SRTCP packet of a compound RTCP packet to `out`. A packet under 8 bytes appends nothing, and so
    /// does the 2^31st.
    pub fn seal_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        if self.next_rtcp_index >= RTCP_INDEX_END {
            return;
        }
        let start = out.len();
        out.resize(start + packet.len() + self.rtp.rtp_overhead() + 4, 0);
        let index = self.next_rtcp_index;
        // Counted before it is known whether sealing worked: a gap is harmless, a repetition is not.
        self.next_rtcp_index += 1;
        if self
            .rtcp
            .seal_rtcp(packet, index, &mut out[start..])
            .is_none()
        {
            out.truncate(start);
        }
    }

    /// Lets a test stand at any index.
    #[cfg(test)]
    pub(super) fn skip_to_rtcp_index(&mut self, index: u32) {
        self.next_rtcp_index = index;
    }
}
