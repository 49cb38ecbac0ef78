//! From a source's order to the ingest: packets get the ingest's header and closed-up numbers, and leave in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Intake;
use super::order::{Held, Order, Place};
use crate::peer::published::Published;
use crate::rtp::header::{self, HEADER_LEN, Header};
use crate::rtp::rtcp;

/// A missing packet holds back what follows so long where it is asked for again …
const PATIENCE_REPAIR: Duration = Duration::from_millis(250);
/// … and so long where it may only be late.
const PATIENCE_LATE: Duration = Duration::from_millis(60);

/// One media packet at the end of the buffer.
pub(super) struct Packet {
    /// Its extended sequence number.
    pub(super) number: u64,
    /// Where it starts, header included.
    pub(super) start: usize,
    /// Where its payload stands.
    pub(super) payload: Range<usize>,
}

impl Intake {
    /// Forwards the source at `index` from its packet `number` on, instead of what its medium had before.
    pub(super) fn switch(&mut self, index: usize, number: u64, out: &mut Published) {
        let source = &self.sources.all()[index];
        let (media, layer) = (source.media, source.layer);
        let Some(track) = &mut self.tracks[media as usize] else {
            return;
        };
        track.layers.switch(layer);
        let patience = match track.setup.nack {
            true => PATIENCE_REPAIR,
            false => PATIENCE_LATE,
        };
        let asks = track.setup.nack;
        for (other, source) in self.sources.all_mut().iter_mut().enumerate() {
            if other == index {
                source.order = Some(Order::new(number, patience, asks));
            } else if source.media == media && source.order.take().is_some() {
                // The ingest takes the next SSRC at once.
                let ssrc = source.ssrc;
                out.append(|bytes| rtcp::write_bye(bytes, &[ssrc]));
            }
        }
    }

    /// Puts a packet where its order wants it.
    pub(super) fn place(
        &mut self,
        index: usize,
        packet: Packet,
        header: &Header,
        now: Instant,
        out: &mut Published,
    ) {
        let Packet {
            number,
            start,
            payload,
        } = packet;
        let source = &mut self.sources.all_mut()[index];
        let (ssrc, media) = (source.ssrc, source.media);
        let (Some(order), Some(track)) = (&mut source.order, &self.tracks[media as usize]) else {
            return out.bytes.truncate(start);
        };
        let repaired = order.repaired;
        let mut place = order.admit(number, now);
        self.counters
            .publish_repaired
            .add(order.repaired - repaired);
        let mut before = BTreeMap::new();
        if place == Place::Overflow {
            before = order.give_up_all(number);
            place = order.admit(number, now);
        }
        // The ingest's header in front of the payload: what stood there is read. RTX has two bytes more of room.
        let begin = payload.start - HEADER_LEN;
        if let Some(room) = out.bytes[begin..].first_chunk_mut() {
            let payload_type = track.setup.ingest_payload_type;
            header::write(room, payload_type, header.marker, 0, header.timestamp, ssrc);
        }
        let empty = payload.is_empty();
        if !before.is_empty() {
            for (number, held) in before {
                self.emit_held(index, number, &held, out);
            }
            self.lost(index, now);
        }
        match place {
            Place::Now if empty => self.sources.all_mut()[index].skipped += 1,
            Place::Now => self.emit(index, number, begin..payload.end, out),
            Place::Later => {
                let held: Held = match empty {
                    true => Box::default(),
                    false => out.bytes[begin..payload.end].into(),
                };
                if let Some(order) = &mut self.sources.all_mut()[index].order {
                    order.hold(number, held);
                }
                return out.bytes.truncate(start);
            }
            Place::Never | Place::Overflow => return out.bytes.truncate(start),
        }
        self.release(index, out);
    }

    /// Hands out what waited for the packets before it.
    pub(super) fn release(&mut self, index: usize, out: &mut Published) {
        loop {
            let order = self.sources.all_mut()[index].order.as_mut();
            let Some((number, held)) = order.and_then(Order::release) else {
                return;
            };
            self.emit_held(index, number, &held, out);
        }
    }

    fn emit_held(&mut self, index: usize, number: u64, held: &[u8], out: &mut Published) {
        if held.is_empty() {
            self.sources.all_mut()[index].skipped += 1;
            return;
        }
        let begin = out.bytes.len();
        out.bytes.extend_from_slice(held);
        self.emit(index, number, begin..out.bytes.len(), out);
    }

    fn emit(&mut self, index: usize, number: u64, span: Range<usize>, out: &mut Published) {
        let source = &self.sources.all()[index];
        let packet = &mut out.bytes[span.clone()];
        packet[2..4].copy_from_slice(&(number.wrapping_sub(source.skipped) as u16).to_be_bytes());
        if let Some(track) = &mut self.tracks[source.media as usize] {
            track.forwarded(&packet[HEADER_LEN..]);
        }
        out.push(span);
    }

    pub(super) fn lost(&mut self, index: usize, now: Instant) {
        let media = self.sources.all()[index].media;
        if let Some(track) = &mut self.tracks[media as usize] {
            track.lost(now);
        }
    }
}
