//! Opening what a peer sends.

use super::derive::{Master, Usage};
use super::replay::Windows;
use super::transform::{Transform, word_at};
use super::{Keys, SrtpError};

/// Packets back in which a resend on the same SSRC is still new: 1024, as browsers keep.
const RTP_WINDOW_WORDS: usize = 16;
const RTCP_WINDOW_WORDS: usize = 2;
const E_BIT: u32 = 1 << 31;

/// Session keys and replay windows of what one peer sends. A viewer sends RTCP only, so the RTP half is made when
/// its first packet comes.
pub struct Inbound {
    rtp: RtpHalf,
    rtcp: Transform,
    rtcp_windows: Windows<RTCP_WINDOW_WORDS>,
    rtcp_in_order: bool,
}

enum RtpHalf {
    /// No packet yet: the master key is enough.
    Asleep(Master),
    Awake(Box<RtpInbound>),
}

struct RtpInbound {
    transform: Transform,
    windows: Windows<RTP_WINDOW_WORDS>,
}

impl Inbound {
    /// Derives the RTCP session keys of the remote direction.
    pub fn new(keys: &Keys) -> Result<Self, SrtpError> {
        let master = Master::remote(keys)?;
        Ok(Self {
            rtcp: Transform::new(&master, Usage::Rtcp)?,
            rtcp_windows: Windows::default(),
            rtcp_in_order: false,
            rtp: RtpHalf::Asleep(master),
        })
    }

    /// Opens an SRTP packet in place: the length of the plain RTP packet at its beginning. On an error the bytes
    /// are worthless.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = RtpHeader::parse(packet).ok_or(SrtpError::Malformed)?;
        self.rtp.awake()?.open(header, packet)
    }

    /// Opens an SRTCP packet: `packet` becomes the plain RTCP packet. On an error its bytes are worthless.
    pub fn open_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = word_at(packet, 4).ok_or(SrtpError::Malformed)?;
        let word = self.rtcp.rtcp_word(packet).ok_or(SrtpError::Malformed)?;
        let index = u64::from(word & !E_BIT);
        self.rtcp_windows.check(ssrc, index)?;
        let plain_len = self.rtcp.open_rtcp(ssrc, packet, word)?;
        self.rtcp_in_order = self.rtcp_windows.accept(ssrc, index);
        packet.truncate(plain_len);
        Ok(())
    }

    /// The SRTCP packet opened last was not overtaken by a later one of its source.
    #[must_use]
    pub fn rtcp_in_order(&self) -> bool {
        self.rtcp_in_order
    }
}

impl RtpHalf {
    fn awake(&mut self) -> Result<&mut RtpInbound, SrtpError> {
        if let Self::Asleep(master) = self {
            *self = Self::Awake(Box::new(RtpInbound {
                transform: Transform::new(master, Usage::Rtp)?,
                windows: Windows::default(),
            }));
        }
        match self {
            Self::Awake(awake) => Ok(awake),
            Self::Asleep(_) => Err(SrtpError::Keys),
        }
    }
}

impl RtpInbound {
    fn open(&mut self, header: RtpHeader, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let RtpHeader {
            ssrc,
            sequence,
            len,
        } = header;
        // RFC 3711 §3.3.1: a source begins with roll-over counter 0.
        let index = match self.windows.of(ssrc) {
            Some(window) => window.estimate(sequence).ok_or(SrtpError::Replay)?,
            None => u64::from(sequence),
        };
        self.windows.check(ssrc, index)?;
        let plain_len = self.transform.open_rtp(ssrc, packet, len, index)?;
        self.windows.accept(ssrc, index);
        Ok(plain_len)
    }
}

/// What SRTP needs of an RTP header (RFC 3550 §5.1).
#[derive(Clone, Copy)]
struct RtpHeader {
    ssrc: u32,
    sequence: u16,
    /// With CSRCs and the extension: what stays in the clear.
    len: usize,
}

impl RtpHeader {
    fn parse(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; 12] = packet.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut len = 12 + usize::from(fixed[0] & 0x0f) * 4;
        if fixed[0] & 0x10 != 0 {
            let extension = word_at(packet, len)?;
            len += 4 + (extension & 0xffff) as usize * 4;
        }
        (len <= packet.len()).then_some(Self {
            ssrc: word_at(fixed, 8)?,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            len,
        })
    }
}
