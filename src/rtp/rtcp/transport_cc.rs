//! Transport-wide congestion control feedback, written and read
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use super::{FMT_TRANSPORT_CC, RTPFB, RtcpError, write::push_header};

/// Ticks of arrival times: 250 µs, the unit of the deltas.
pub const TICKS_PER_SECOND: u64 = 4000;
/// Ticks of the reference time's unit, 64 ms.
const REFERENCE_TICKS: u64 = 256;
/// Symbols of a two-bit status vector chunk (§3.1.4).
const VECTOR_LEN: usize = 7;
/// A run-length chunk's length has 13 bits (§3.1.3).
const RUN_MAX: usize = 8191;

const NOT_RECEIVED: u16 = 0;
const SMALL: u16 = 1;
const LARGE: u16 = 2;

/// Appends one feedback packet about `arrivals`: when each packet from `base` on arrived (in ticks of any epoch), None
/// for those that did not. How many of them it is about: less than all where two arrivals are too far apart for one
/// packet; 0 where none arrived.
pub fn write_transport_cc(
    out: &mut Vec<u8>,
    sender: u32,
    media: u32,
    base: u16,
    feedback_count: u8,
    arrivals: &[Option<u64>],
) -> usize {
    let arrivals = &arrivals[..arrivals.len().min(usize::from(u16::MAX))];
    let Some(first) = arrivals.iter().flatten().next() else {
        return 0;
    };
    let reference = first / REFERENCE_TICKS;
    let mut symbols = Vec::with_capacity(arrivals.len());
    let mut deltas = Vec::with_capacity(arrivals.len() * 2);
    let mut last = (reference * REFERENCE_TICKS).cast_signed();
    for arrival in arrivals {
        let Some(at) = arrival else {
            symbols.push(NOT_RECEIVED);
            continue;
        };
        let delta = at.cast_signed().wrapping_sub(last);
        if let Ok(small) = u8::try_from(delta) {
            symbols.push(SMALL);
            deltas.push(small);
        } else if let Ok(large) = i16::try_from(delta) {
            symbols.push(LARGE);
            deltas.extend_from_slice(&large.to_be_bytes());
        } else {
            break;
        }
        last = at.cast_signed();
    }
    let mut chunks = Vec::with_capacity(symbols.len() / 3 + 2);
    write_chunks(&mut chunks, &symbols);
    let body_len = (16 + chunks.len() + deltas.len()).next_multiple_of(4);
    push_header(out, usize::from(FMT_TRANSPORT_CC), RTPFB, body_len);
    let end = out.len() + body_len;
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
    out.extend_from_slice(&base.to_be_bytes());
    out.extend_from_slice(&(symbols.len() as u16).to_be_bytes());
    out.extend_from_slice(&(reference as u32).to_be_bytes()[1..]);
    out.push(feedback_count);
    out.extend_from_slice(&chunks);
    out.extend_from_slice(&deltas);
    out.resize(end, 0);
    symbols.len()
}

fn write_chunks(out: &mut Vec<u8>, symbols: &[u16]) {
    let mut rest = symbols;
    while let Some(&symbol) = rest.first() {
        let run = rest.iter().take_while(|each| **each == symbol).count();
        let (chunk, taken) = if run >= VECTOR_LEN {
            let run = run.min(RUN_MAX);
            (symbol << 13 | run as u16, run)
        } else {
            let taken = rest.len().min(VECTOR_LEN);
            // 1: a vector; 1: of two-bit symbols.
            let vector = rest[..taken]
                .iter()
                .enumerate()
                .fold(0xc000, |chunk, (index, symbol)| {
                    chunk | symbol << (12 - 2 * index)
                });
            (vector, taken)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[taken..];
    }
}

/// Packets that one feedback packet may be about; nobody waits so long before reporting.
const STATUSES_MAX: usize = 4096;

/// Reads what stands behind the SSRCs of a feedback packet: for each number whether it arrived, as the reference time and
/// the ticks since then. What was told before a malformed part holds.
pub fn read_transport_cc(
    raw: &[u8],
    mut tell: impl FnMut(u16, Option<(u32, i64)>),
) -> Result<(), RtcpError> {
    let (head, body) = raw.split_first_chunk::<8>().ok_or(RtcpError)?;
    let base = u16::from_be_bytes([head[0], head[1]]);
    let count = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let reference = u32::from_be_bytes([0, head[4], head[5], head[6]]);
    if count > STATUSES_MAX {
        return Err(RtcpError);
    }
    let mut covered = 0;
    let mut chunks_len = 0;
    while covered < count {
        let chunk = word_at(body, chunks_len).ok_or(RtcpError)?;
        let len = chunk_len(chunk);
        if len == 0 {
            return Err(RtcpError);
        }
        covered += len;
        chunks_len += 2;
    }
    let (chunks, mut deltas) = body.split_at(chunks_len);
    let mut number = base;
    let mut left = count;
    let mut ticks = 0;
    for chunk in chunks.chunks_exact(2) {
        let chunk = u16::from_be_bytes([chunk[0], chunk[1]]);
        for index in 0..chunk_len(chunk).min(left) {
            let arrival = match symbol_of(chunk, index) {
                SMALL => {
                    let (delta, rest) = deltas.split_first().ok_or(RtcpError)?;
                    deltas = rest;
                    ticks += i64::from(*delta);
                    Some((reference, ticks))
                }
                LARGE => {
                    let (delta, rest) = deltas.split_first_chunk::<2>().ok_or(RtcpError)?;
                    deltas = rest;
                    ticks += i64::from(i16::from_be_bytes(*delta));
                    Some((reference, ticks))
                }
                _ => None,
            };
            tell(number, arrival);
            number = number.wrapping_add(1);
        }
        left -= chunk_len(chunk).min(left);
    }
    Ok(())
}

fn word_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([word[0], word[1]]))
}

/// Statuses in a chunk: a run (§3.1.3), or a vector of one-bit or two-bit symbols (§3.1.4).
fn chunk_len(chunk: u16) -> usize {
    match chunk >> 14 {
        0b10 => 14,
        0b11 => VECTOR_LEN,
        _ => usize::from(chunk & 0x1fff),
    }
}

fn symbol_of(chunk: u16, index: usize) -> u16 {
    match chunk >> 14 {
        0b10 => chunk >> (13 - index) & 1,
        0b11 => chunk >> (12 - 2 * index) & 3,
        _ => chunk >> 13 & 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it back as §3.1 says: (base, reference, statuses with ticks).
    fn read(packet: &[u8]) -> (u16, u8, Vec<Option<u64>>) {
        let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let words = usize::from(word(2));
        assert_eq!(packet.len(), 4 * (words + 1));
        assert_eq!((packet[0], packet[1]), (0x8f, 205));
        let count = usize::from(word(14));
        let reference = u32::from_be_bytes([0, packet[16], packet[17], packet[18]]);
        let mut symbols = Vec::new();
        let mut at = 20;
        while symbols.len() < count {
            let chunk = word(at);
            at += 2;
            if chunk & 0x8000 == 0 {
                symbols.extend(vec![chunk >> 13; usize::from(chunk & 0x1fff)]);
            } else {
                symbols.extend((0..7).map(|index| chunk >> (12 - 2 * index) & 3));
            }
        }
        symbols.truncate(count);
        let mut ticks = i64::from(reference) * 256;
        let statuses = symbols
            .iter()
            .map(|symbol| {
                let delta = match symbol {
                    1 => i64::from(packet[at]),
                    2 => i64::from(word(at).cast_signed()),
                    _ => return None,
                };
                at += usize::from(*symbol);
                ticks += delta;
                Some(ticks.cast_unsigned())
            })
            .collect();
        (word(12), packet[19], statuses)
    }

    #[test]
    fn arrivals_are_read_back_as_they_were() {
        let mut arrivals: Vec<Option<u64>> = vec![Some(100_000), None, Some(100_003)];
        // A run, a reordered one, a pause.
        arrivals.extend((0..40).map(|n| Some(100_010 + n)));
        arrivals.extend([Some(100_020), None, None, Some(120_000), Some(119_990)]);
        arrivals.extend(vec![None; 20]);
        arrivals.push(Some(120_100));
        let mut out = Vec::new();
        let written = write_transport_cc(&mut out, 1, 2, 65_530, 9, &arrivals);
        assert_eq!(written, arrivals.len());
        assert_eq!(read(&out), (65_530, 9, arrivals));
    }

    #[test]
    fn what_was_written_is_read_and_so_are_one_bit_vectors() {
        let mut arrivals: Vec<Option<u64>> = vec![Some(100_000), None, Some(100_003)];
        arrivals.extend((0..40).map(|n| Some(100_010 + n)));
        arrivals.extend([Some(100_020), None, None, Some(120_000), Some(119_990)]);
        let mut out = Vec::new();
        write_transport_cc(&mut out, 1, 2, 65_530, 9, &arrivals);
        let mut seen = Vec::new();
        let tell = |number, arrival: Option<(u32, i64)>| {
            assert_eq!(number, 65_530_u16.wrapping_add(seen.len() as u16));
            seen.push(arrival.map(|(base, ticks)| u64::from(base) * 256 + ticks as u64));
        };
        assert_eq!(read_transport_cc(&out[12..], tell), Ok(()));
        assert_eq!(seen, arrivals);
        let vector = [0, 5, 0, 3, 0, 0, 1, 0, 0b1010_1000, 0, 4, 6];
        let mut seen = Vec::new();
        let tell = |number, arrival| seen.push((number, arrival));
        assert_eq!(read_transport_cc(&vector, tell), Ok(()));
        assert_eq!(
            seen,
            [(5, Some((1, 4))), (6, None), (7, Some((1, 10)))],
            "{vector:?}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_feedback_is_read_calmly(raw in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut told = 0;
            let _ = read_transport_cc(&raw, |_, _| told += 1);
            proptest::prop_assert!(told <= STATUSES_MAX);
        }
    }

    #[test]
    fn a_pause_too_long_for_a_delta_ends_the_packet() {
        let mut out = Vec::new();
        let arrivals = [Some(5), Some(6), Some(40_000), Some(40_001)];
        assert_eq!(write_transport_cc(&mut out, 1, 2, 0, 0, &arrivals), 2);
        assert_eq!(read(&out).2, arrivals[..2]);
        out.clear();
        assert_eq!(write_transport_cc(&mut out, 1, 2, 2, 1, &arrivals[2..]), 2);
        assert_eq!(read(&out).2, arrivals[2..]);
        assert_eq!(write_transport_cc(&mut out, 1, 2, 2, 1, &[None, None]), 0);
    }
}
