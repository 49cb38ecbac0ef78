//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): what viewers send, what we send. The values; [`parse`] reads, `write_*` write.

mod ntp;
mod read;
pub mod transport_cc;
mod write;

#[cfg(test)]
mod tests;

pub use ntp::{ntp_from, ntp_middle};
pub use read::{Items, Sequences, parse};
pub use transport_cc::{TICKS_PER_SECOND, write_transport_cc};
pub use write::{
    write_bye, write_fir, write_nack, write_pli, write_receiver_report, write_remb,
    write_sdes_cname, write_sender_report,
};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1).
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;

/// Format values of RTPFB and PSFB packets.
const FMT_NACK: u8 = 1;
const FMT_TRANSPORT_CC: u8 = 15;
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_APPLICATION: u8 = 15;

/// RFC 3550 §6.4.1.
const BLOCK_LEN: usize = 24;

/// One thing an RTCP datagram says. A report with three blocks is three of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Item<'a> {
    SenderReport(SenderReport),
    /// Of a sender's or a receiver's report.
    ReportBlock(ReportBlock),
    Pli(Pli),
    Fir(Fir),
    Nack(Nack<'a>),
    Remb(Remb),
    TransportCc(TransportCc<'a>),
    Bye(Bye),
}

/// A sender's report without its blocks (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Who sends.
    pub ssrc: u32,
    /// NTP time, 32.32 fixed point.
    pub ntp: u64,
    /// RTP timestamp of the same instant.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver tells of one source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source it is about.
    pub ssrc: u32,
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    /// Negative where duplicates came; 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Cycles and sequence number.
    pub highest_seq: u32,
    /// In timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 where none came.
    pub lsr: u32,
    /// Delay since that report, in 1/65536 s.
    pub dlsr: u32,
}

/// Picture loss indication (RFC 4585 §6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pli {
    /// Whose picture is lost.
    pub media_ssrc: u32,
}

/// One entry of a full intra request (RFC 5104 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir {
    /// Who shall send a key frame.
    pub ssrc: u32,
    /// A repetition has the same number.
    pub sequence: u8,
}

/// Generic NACK (RFC 4585 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Whose packets are lost.
    pub media_ssrc: u32,
    pairs: &'a [u8],
}

impl<'a> Nack<'a> {
    /// The sequence numbers lost, in the packet's order.
    #[must_use]
    pub fn sequences(&self) -> Sequences<'a> {
        Sequences::of(self.pairs)
    }
}

/// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb {
    /// For all sources named, together.
    pub bitrate_bps: u64,
}

/// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportCc<'a> {
    /// Some source of the transport.
    pub media_ssrc: u32,
    /// From the base sequence number on.
    pub raw: &'a [u8],
}

/// A source leaves (RFC 3550 §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye {
    /// Which.
    pub ssrc: u32,
}

/// The datagram isn't RTCP, or a packet of it contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed RTCP")]
pub struct RtcpError;
