//! Reading compound (RFC 3550 §6.1) and reduced-size (RFC 5506) RTCP without allocation.

use super::{
    BLOCK_LEN, BYE, Bye, FMT_APPLICATION, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TRANSPORT_CC, Fir, Item,
    Nack, PSFB, Pli, RR, RTPFB, Remb, ReportBlock, RtcpError, SR, SenderReport, TransportCc,
};

const HEADER_LEN: usize = 4;
const FIR_LEN: usize = 8;
const SSRC_LEN: usize = 4;

/// Reads a plain RTCP datagram. Packets and feedback we don't know are skipped; after an error nothing follows.
#[must_use]
pub fn parse(datagram: &[u8]) -> Items<'_> {
    Items {
        rest: datagram,
        entries: Entries::Blocks(&[]),
    }
}

/// What [`parse`] gives.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    /// Packets not begun.
    rest: &'a [u8],
    /// Entries of the packet begun.
    entries: Entries<'a>,
}

/// Lists within a packet, each of whole entries.
#[derive(Debug, Clone)]
enum Entries<'a> {
    Blocks(&'a [u8]),
    Firs(&'a [u8]),
    Byes(&'a [u8]),
}

/// A packet without its header and padding.
struct Packet<'a> {
    kind: u8,
    /// Count of entries, or format of feedback.
    count: u8,
    body: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.entries.next() {
                return Some(Ok(item));
            }
            if self.rest.is_empty() {
                return None;
            }
            match self.step() {
                Some(Some(item)) => return Some(Ok(item)),
                Some(None) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(RtcpError));
                }
            }
        }
    }
}

impl<'a> Items<'a> {
    /// Begins the next packet: its own item, if it is one. None where it is malformed.
    fn step(&mut self) -> Option<Option<Item<'a>>> {
        let (packet, rest) = Packet::split(self.rest)?;
        self.rest = rest;
        let Packet { kind, count, body } = packet;
        Some(match (kind, count) {
            (SR, _) => {
                self.entries = Entries::Blocks(list(body, 24, count, BLOCK_LEN)?);
                Some(Item::SenderReport(SenderReport {
                    ssrc: u32_at(body, 0)?,
                    ntp: (u64::from(u32_at(body, 4)?) << 32) | u64::from(u32_at(body, 8)?),
                    rtp: u32_at(body, 12)?,
                    packets: u32_at(body, 16)?,
                    octets: u32_at(body, 20)?,
                }))
            }
            (RR, _) => {
                self.entries = Entries::Blocks(list(body, SSRC_LEN, count, BLOCK_LEN)?);
                None
            }
            (BYE, _) => {
                self.entries = Entries::Byes(list(body, 0, count, SSRC_LEN)?);
                None
            }
            (RTPFB, FMT_NACK) => {
                let (media_ssrc, pairs) = feedback(body)?;
                Some(Item::Nack(Nack { media_ssrc, pairs }))
            }
            (RTPFB, FMT_TRANSPORT_CC) => {
                let (media_ssrc, raw) = feedback(body)?;
                Some(Item::TransportCc(TransportCc { media_ssrc, raw }))
            }
            (PSFB, FMT_PLI) => {
                let (media_ssrc, _) = feedback(body)?;
                Some(Item::Pli(Pli { media_ssrc }))
            }
            (PSFB, FMT_FIR) => {
                // RFC 5104 §4.3.1.2: the media SSRC of the header is unused, the entries name theirs.
                let (_, firs) = feedback(body)?;
                if firs.len() % FIR_LEN != 0 {
                    return None;
                }
                self.entries = Entries::Firs(firs);
                None
            }
            (PSFB, FMT_APPLICATION) => match feedback(body)?.1 {
                [b'R', b'E', b'M', b'B', remb @ ..] => Some(Item::Remb(read_remb(remb)?)),
                _ => None,
            },
            _ => None,
        })
    }
}

impl<'a> Packet<'a> {
    /// RFC 3550 §6.4.1, A.2.
    fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header: &[u8; HEADER_LEN] = datagram.first_chunk()?;
        if header[0] >> 6 != 2 {
            return None;
        }
        let words = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (packet, rest) = datagram.split_at_checked(HEADER_LEN + words * 4)?;
        let mut body = &packet[HEADER_LEN..];
        if header[0] & 0x20 != 0 {
            // The last byte counts the padding, itself included; whole words.
            let padding = usize::from(*body.last()?);
            if padding == 0 || padding % 4 != 0 {
                return None;
            }
            body = body.get(..body.len().checked_sub(padding)?)?;
        }
        let packet = Self {
            kind: header[1],
            count: header[0] & 0x1f,
            body,
        };
        Some((packet, rest))
    }
}

impl<'a> Entries<'a> {
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Blocks(rest) => take(rest, BLOCK_LEN)
                .and_then(read_block)
                .map(Item::ReportBlock),
            Self::Firs(rest) => take(rest, FIR_LEN).and_then(read_fir).map(Item::Fir),
            Self::Byes(rest) => {
                let ssrc = u32_at(take(rest, SSRC_LEN)?, 0)?;
                Some(Item::Bye(Bye { ssrc }))
            }
        }
    }
}

fn read_block(bytes: &[u8]) -> Option<ReportBlock> {
    let lost = u32_at(bytes, 4)?;
    Some(ReportBlock {
        ssrc: u32_at(bytes, 0)?,
        fraction_lost: (lost >> 24) as u8,
        // 24 bits, signed: shifted up and, with the sign, down again.
        cumulative_lost: (lost << 8).cast_signed() >> 8,
        highest_seq: u32_at(bytes, 8)?,
        jitter: u32_at(bytes, 12)?,
        lsr: u32_at(bytes, 16)?,
        dlsr: u32_at(bytes, 20)?,
    })
}

fn read_fir(bytes: &[u8]) -> Option<Fir> {
    Some(Fir {
        ssrc: u32_at(bytes, 0)?,
        sequence: *bytes.get(4)?,
    })
}

/// Behind the name: count of SSRCs, 6 bits of exponent, 18 of mantissa, the SSRCs.
fn read_remb(bytes: &[u8]) -> Option<Remb> {
    let word = u32_at(bytes, 0)?;
    list(bytes, 4, (word >> 24) as u8, SSRC_LEN)?;
    let (exponent, mantissa) = ((word >> 18) & 0x3f, u64::from(word & 0x3_ffff));
    let bitrate_bps = if mantissa.leading_zeros() >= exponent {
        mantissa << exponent
    } else {
        u64::MAX
    };
    Some(Remb { bitrate_bps })
}

/// Media SSRC and what follows (RFC 4585 §6.1); the sender's SSRC doesn't matter here.
fn feedback(body: &[u8]) -> Option<(u32, &[u8])> {
    Some((u32_at(body, 4)?, &body[8..]))
}

/// `count` entries of `len` bytes from `start`; what follows is profile-specific and skipped.
fn list(body: &[u8], start: usize, count: u8, len: usize) -> Option<&[u8]> {
    body.get(start..start + usize::from(count) * len)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (entry, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(entry)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*value))
}

/// Sequence numbers of a NACK: each pair is one lost packet and a bit for each of the 16 that follow
/// (RFC 4585 §6.2.1).
#[derive(Debug, Clone)]
pub struct Sequences<'a> {
    pairs: &'a [u8],
    first: u16,
    /// Bit 0 is `first`, bit i is `first + i`.
    left: u32,
}

impl<'a> Sequences<'a> {
    pub(super) fn of(pairs: &'a [u8]) -> Self {
        Self {
            pairs,
            first: 0,
            left: 0,
        }
    }
}

impl Iterator for Sequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.left == 0 {
            let pair = u32_at(take(&mut self.pairs, 4)?, 0)?;
            self.first = (pair >> 16) as u16;
            self.left = ((pair & 0xffff) << 1) | 1;
        }
        let bit = self.left.trailing_zeros();
        self.left &= self.left - 1;
        Some(self.first.wrapping_add(bit as u16))
    }
}
