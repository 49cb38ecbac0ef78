//! Writing RTCP. Each function appends one packet, so that a compound packet is several calls.

use super::{
    BYE, FMT_APPLICATION, FMT_FIR, FMT_NACK, FMT_PLI, PSFB, RR, RTPFB, ReportBlock, SDES, SR,
};

/// The count has five bits.
const ENTRIES_MAX: usize = 31;
/// An SDES item's length has eight bits.
const CNAME_MAX: usize = 255;
const SDES_CNAME: u8 = 1;

/// A sender report without blocks (RFC 3550 §6.4.1). `packet_count` and `octet_count` wrap, as they do there.
pub fn write_sender_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    ntp: u64,
    rtp_ts: u32,
    packet_count: u32,
    octet_count: u32,
) {
    push_header(out, 0, SR, 24);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&ntp.to_be_bytes());
    for word in [rtp_ts, packet_count, octet_count] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// A receiver report (RFC 3550 §6.4.2) of the first 31 blocks.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(ENTRIES_MAX)];
    push_header(out, blocks.len(), RR, 4 + blocks.len() * super::BLOCK_LEN);
    out.extend_from_slice(&ssrc.to_be_bytes());
    for block in blocks {
        // 24 bits: RFC 3550 A.3 clamps rather than wraps.
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        let lost = (u32::from(block.fraction_lost) << 24) | (lost.cast_unsigned() & 0xff_ffff);
        for word in [
            block.ssrc,
            lost,
            block.highest_seq,
            block.jitter,
            block.lsr,
            block.dlsr,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// A source description with the CNAME alone (RFC 3550 §6.5), cut at 255 bytes.
pub fn write_sdes_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let mut len = cname.len().min(CNAME_MAX);
    while !cname.is_char_boundary(len) {
        len -= 1;
    }
    // One to four zeros end the list of items.
    let body_len = (4 + 2 + len + 1).next_multiple_of(4);
    push_header(out, 1, SDES, body_len);
    let end = out.len() + body_len;
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[SDES_CNAME, len as u8]);
    out.extend_from_slice(&cname.as_bytes()[..len]);
    out.resize(end, 0);
}

/// The first 31 sources leave (RFC 3550 §6.6).
pub fn write_bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(ENTRIES_MAX)];
    push_header(out, ssrcs.len(), BYE, ssrcs.len() * 4);
    for ssrc in ssrcs {
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

/// A picture loss indication (RFC 4585 §6.3.1).
pub fn write_pli(out: &mut Vec<u8>, sender: u32, media: u32) {
    push_header(out, usize::from(FMT_PLI), PSFB, 8);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
}

/// A full intra request (RFC 5104 §4.3.1) of one source; a new request has a new `sequence`.
pub fn write_fir(out: &mut Vec<u8>, sender: u32, media: u32, sequence: u8) {
    push_header(out, usize::from(FMT_FIR), PSFB, 16);
    for word in [sender, 0, media, u32::from(sequence) << 24] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// A generic NACK (RFC 4585 §6.2.1) of these sequence numbers, which rise.
pub fn write_nack(out: &mut Vec<u8>, sender: u32, media: u32, sequences: &[u16]) {
    let mut pairs: Vec<(u16, u16)> = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        match pairs.last_mut() {
            Some((first, bits)) if (1..=16).contains(&sequence.wrapping_sub(*first)) => {
                *bits |= 1 << (sequence.wrapping_sub(*first) - 1);
            }
            _ => pairs.push((*sequence, 0)),
        }
    }
    push_header(out, usize::from(FMT_NACK), RTPFB, 8 + pairs.len() * 4);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
    for (first, bits) in pairs {
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&bits.to_be_bytes());
    }
}

/// A receiver's estimate for all these sources together (draft-alvestrand-rmcat-remb-03 §2.2), rounded down.
pub fn write_remb(out: &mut Vec<u8>, sender: u32, bitrate_bps: u64, ssrcs: &[u32]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(ENTRIES_MAX)];
    push_header(
        out,
        usize::from(FMT_APPLICATION),
        PSFB,
        16 + ssrcs.len() * 4,
    );
    let exponent = 46_u32.saturating_sub(bitrate_bps.leading_zeros());
    let mantissa = (bitrate_bps >> exponent) as u32;
    let estimate = (ssrcs.len() as u32) << 24 | exponent << 18 | mantissa;
    for word in [sender, 0, u32::from_be_bytes(*b"REMB"), estimate] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for ssrc in ssrcs {
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

/// `count` is at most 31, `body_len` of whole words and under 2^18.
pub(super) fn push_header(out: &mut Vec<u8>, count: usize, kind: u8, body_len: usize) {
    out.extend_from_slice(&[0x80 | count as u8, kind]);
    out.extend_from_slice(&((body_len / 4) as u16).to_be_bytes());
}
