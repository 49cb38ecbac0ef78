//! What a publisher sends, on its way to the ingest: whose packet it is (payload type, RID), in order, RTX unwrapped,
//! padding and unwanted layers left out, under the ingest's payload type.

mod forward;
mod layers;
mod order;
mod reception;
mod source;
#[cfg(test)]
mod tests;
mod track;
mod twcc;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::forward::Packet;
use self::order::Order;
use self::reception::Reception;
use self::source::{Source, Sources};
use self::track::Track;
use super::published::Published;
use crate::rtp::header::Header;
use crate::rtp::rtcp::{self, ReportBlock};
use crate::rtp::{Media, extension};
use crate::stats::Counters;

pub use self::track::IntakeSetup;
use self::twcc::Arrivals;

/// A sender that changed its SSRC is believed when the old one was silent so long.
const SSRC_SILENCE: Duration = Duration::from_millis(200);

/// The ids the answer gave the header extensions that are read here (RFC 8285 §5, RFC 8852).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    pub repaired_rid: Option<u8>,
    /// Transport-wide congestion control.
    pub transport_cc: Option<u8>,
}

/// What is to be asked of the publisher now.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Missing packets by SSRC.
    pub(super) missing: Vec<(u32, Vec<u16>)>,
    /// SSRCs a key frame is wanted of; whether they know PLI.
    pub(super) keyframes: Vec<(u32, bool)>,
}

/// The receiving state of one publisher.
pub(super) struct Intake {
    tracks: [Option<Track>; 2],
    sources: Sources,
    extensions: ExtensionIds,
    pub(in crate::peer) arrivals: Arrivals,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    counters: Arc<Counters>,
}

impl Intake {
    /// Forwards the simulcast layer `rid` of the video, where there is one of that name; else the best.
    pub(super) fn new(
        setup: [Option<IntakeSetup>; 2],
        extensions: ExtensionIds,
        rid: Option<&str>,
        counters: Arc<Counters>,
        now: Instant,
    ) -> Self {
        let [video, audio] = setup;
        Self {
            tracks: [
                video.map(|setup| Track::new(Media::Video, setup, rid)),
                audio.map(|setup| Track::new(Media::Audio, setup, None)),
            ],
            sources: Sources::default(),
            extensions,
            arrivals: Arrivals::new(now),
            packets: 0,
            bytes: 0,
            counters,
        }
    }

    /// Learns whose sources are whose from `other`: browsers say it (RID) only until the first report.
    pub(super) fn adopt(&mut self, other: &Self, now: Instant) {
        for source in other.sources.all() {
            self.sources.add(Source {
                order: None,
                skipped: 0,
                reception: source.reception.clone(),
                ..*source
            });
            if let Some(track) = &mut self.tracks[source.media as usize] {
                track.began(now);
            }
        }
    }

    /// Takes the plain RTP packet that `out` holds from `start` on. What is ready for the ingest is in `out` after it.
    pub(super) fn packet(&mut self, start: usize, now: Instant, out: &mut Published) {
        self.packets += 1;
        self.bytes += (out.bytes.len() - start) as u64;
        self.counters.publish_packets_in.inc();
        self.counters
            .publish_bytes_in
            .add((out.bytes.len() - start) as u64);
        if !self.try_packet(start, now, out) {
            self.counters.publish_dropped.inc();
            out.bytes.truncate(start);
        }
    }

    /// False where the packet is of no use.
    fn try_packet(&mut self, start: usize, now: Instant, out: &mut Published) -> bool {
        let Ok(header) = Header::parse(&out.bytes[start..]) else {
            return false;
        };
        let Some(index) = self.source(&header, &out.bytes[start..], now) else {
            return false;
        };
        let source = &mut self.sources.all_mut()[index];
        source.last = now;
        let number = source.reception.packet(header.seq, header.timestamp, now);
        let payload = start + header.payload.start..start + header.payload.end;
        let (media, layer) = (source.media, source.layer);
        if source.repair {
            // RFC 4588 §4: the original number, then the original payload. Probes have none.
            let original = out.bytes[payload.clone()].first_chunk::<2>().copied();
            let target = self.sources.of(media, layer);
            let (Some(original), Some(target)) = (original, target) else {
                out.bytes.truncate(start);
                return true;
            };
            let source = &self.sources.all()[target];
            let Some(order) = &source.order else {
                out.bytes.truncate(start);
                return true;
            };
            let number = order.extend(u16::from_be_bytes(original));
            let body = payload.start + 2..payload.end;
            let packet = Packet {
                number,
                start,
                payload: body,
            };
            self.place(target, packet, &header, now, out);
            return true;
        }
        let Some(track) = &mut self.tracks[media as usize] else {
            return false;
        };
        let eligible = track.layers.packet(layer, payload.len(), now);
        let single = track.setup.rids.is_empty();
        if eligible && (single || track.can_begin(&out.bytes[payload.clone()])) {
            self.switch(index, number, out);
        }
        if self.sources.all()[index].order.is_none() {
            // An unwanted layer; or a sender that changed its SSRC and goes on under the new one.
            let same = self.tracks[media as usize]
                .as_ref()
                .is_some_and(|track| track.layers.current() == Some(layer));
            if !same || self.is_forwarding(media, now) {
                out.bytes.truncate(start);
                return true;
            }
            self.switch(index, number, out);
            // Nobody can begin with what stands in the middle of a group.
            self.lost(index, now);
        }
        let packet = Packet {
            number,
            start,
            payload,
        };
        self.place(index, packet, &header, now, out);
        true
    }

    /// The source of a packet, found by its SSRC, else by payload type (unique in a bundle) and RID.
    fn source(&mut self, header: &Header, packet: &[u8], now: Instant) -> Option<usize> {
        let (mut rid, mut repaired) = (None, None);
        for (id, data) in extension::elements(packet) {
            let id = Some(id);
            if id == self.extensions.transport_cc {
                if let Some(number) = data.first_chunk::<2>() {
                    self.arrivals.packet(u16::from_be_bytes(*number), now);
                }
            } else if id == self.extensions.rid {
                rid = Some(data);
            } else if id == self.extensions.repaired_rid {
                repaired = Some(data);
            }
        }
        let (media, repair) = self.kind(header.payload_type)?;
        if let Some(index) = self.sources.find(header.ssrc) {
            let known = &self.sources.all()[index];
            return (known.media == media && known.repair == repair).then_some(index);
        }
        let track = self.tracks[media as usize].as_mut()?;
        let layer = if track.setup.rids.is_empty() {
            0
        } else {
            let rid = if repair { repaired.or(rid) } else { rid }?;
            track
                .setup
                .rids
                .iter()
                .position(|it| it.as_bytes() == rid)?
        };
        track.began(now);
        let rate = track.setup.codec.clock_rate();
        Some(self.sources.add(Source {
            ssrc: header.ssrc,
            media,
            layer,
            repair,
            reception: Reception::new(header.ssrc, rate, header.seq, now),
            order: None,
            skipped: 0,
            said_bye: false,
            last: now,
        }))
    }

    /// A source of this medium is forwarded and still sends.
    fn is_forwarding(&self, media: Media, now: Instant) -> bool {
        self.sources.all().iter().any(|source| {
            source.media == media
                && source.order.is_some()
                && now.saturating_duration_since(source.last) < SSRC_SILENCE
        })
    }

    fn kind(&self, payload_type: u8) -> Option<(Media, bool)> {
        [Media::Video, Media::Audio].into_iter().find_map(|media| {
            let setup = &self.tracks[media as usize].as_ref()?.setup;
            if setup.payload_type == payload_type {
                return Some((media, false));
            }
            (setup.rtx == Some(payload_type)).then_some((media, true))
        })
    }

    /// A sender report: for our own reports, and for the ingest where its source is forwarded.
    pub(super) fn sender_report(
        &mut self,
        report: &rtcp::SenderReport,
        now: Instant,
        out: &mut Published,
    ) {
        let Some(index) = self.sources.find(report.ssrc) else {
            return;
        };
        let source = &mut self.sources.all_mut()[index];
        source.reception.sender_reported(report.ntp, now);
        if source.order.is_some() {
            out.append(|bytes| {
                rtcp::write_sender_report(bytes, report.ssrc, report.ntp, report.rtp, 0, 0);
            });
        }
    }

    /// A source said goodbye: true where none is left.
    pub(super) fn bye(&mut self, ssrc: u32) -> bool {
        let Some(index) = self.sources.find(ssrc) else {
            return false;
        };
        self.sources.all_mut()[index].said_bye = true;
        let mut media = self.sources.all().iter().filter(|source| !source.repair);
        media.all(|source| source.said_bye)
    }

    /// Somebody behind the ingest wants a key frame.
    pub(super) fn want_keyframe(&mut self, now: Instant) {
        if let Some(track) = &mut self.tracks[Media::Video as usize] {
            track.want_keyframe(now);
        }
    }

    /// When [`Intake::handle_timeout`] wants to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        let orders = self.sources.all().iter().filter_map(|it| it.order.as_ref());
        let tracks = self.tracks.iter().flatten();
        orders
            .filter_map(Order::due)
            .chain(tracks.clone().filter_map(Track::ask_due))
            .chain(tracks.filter_map(|track| track.layers.due()))
            .min()
    }

    /// Gives up what is late, looks at the layers; what is to be asked for now.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Published) -> Asks {
        let mut asks = Asks::default();
        for index in 0..self.sources.all().len() {
            while let Some(order) = &mut self.sources.all_mut()[index].order {
                if !order.give_up(now) {
                    break;
                }
                self.counters.publish_lost.inc();
                self.release(index, out);
                self.lost(index, now);
            }
            let source = &mut self.sources.all_mut()[index];
            let missing = source.order.as_mut().map(|order| order.asks(now));
            if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
                asks.missing.push((source.ssrc, missing));
            }
        }
        for media in [Media::Video, Media::Audio] {
            let Some(track) = &mut self.tracks[media as usize] else {
                continue;
            };
            if track.layers.due().is_some_and(|due| due <= now) && track.layers.look(now) {
                track.want_keyframe(now);
            }
            if track.take_ask(now) {
                let target = track.layers.wanted().or(track.layers.current());
                let pli = track.setup.pli;
                let wanted = self.sources.all().iter().filter(|source| {
                    source.media == media
                        && !source.repair
                        && target.is_none_or(|layer| layer == source.layer)
                });
                asks.keyframes
                    .extend(wanted.map(|source| (source.ssrc, pli)));
            }
        }
        asks
    }

    /// A block per media source for the report that goes out now.
    pub(super) fn report(&mut self, now: Instant) -> Vec<ReportBlock> {
        let sources = self.sources.all_mut().iter_mut();
        sources
            .filter(|source| !source.repair && !source.said_bye)
            .map(|source| source.reception.report(now))
            .collect()
    }

    /// The simulcast layers: name, bit/s now (0 where it is not sent), whether it is forwarded.
    pub(super) fn layers(&self) -> impl Iterator<Item = (&str, u64, bool)> {
        let track = self.tracks[Media::Video as usize].iter();
        track.flat_map(|track| {
            let rates = track.layers.rates_bps().enumerate();
            rates.zip(&track.setup.rids).map(|((index, bps), rid)| {
                (rid.as_str(), bps, track.layers.current() == Some(index))
            })
        })
    }

    /// SSRC of any media source.
    pub(super) fn any_ssrc(&self) -> u32 {
        self.sources.all().first().map_or(0, |source| source.ssrc)
    }
}
