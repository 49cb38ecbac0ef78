//! Layers of a simulcast publisher that are watched one by one: an intake each, beside the one for its ingest.
//!
//! Each gets a copy of every packet and forwards its layer and the sound, into a buffer of [`Outbox::layers`]. What they
//! ask of the publisher is asked once.

use std::sync::Arc;
use std::time::Instant;

use super::intake::{Asks, ExtensionIds, Intake, IntakeSetup};
use super::outbox::Outbox;
use crate::rtp::rtcp::SenderReport;

/// The layers of one publisher that are watched.
pub(super) struct Views {
    media: [Option<IntakeSetup>; 2],
    extensions: ExtensionIds,
    all: Vec<View>,
}

struct View {
    rid: Arc<str>,
    intake: Intake,
}

impl Views {
    pub(super) fn new(media: [Option<IntakeSetup>; 2], extensions: ExtensionIds) -> Self {
        Self {
            media,
            // Arrivals are told once: by the intake for the ingest.
            extensions: ExtensionIds {
                transport_cc: None,
                ..extensions
            },
            all: Vec::new(),
        }
    }

    /// Watches these from now on, in this order. `main` is the intake for the ingest.
    pub(super) fn follow(&mut self, rids: &[Arc<str>], main: &Intake, now: Instant) {
        let mut before = std::mem::take(&mut self.all);
        for rid in rids {
            let known = before.iter().position(|view| view.rid == *rid);
            let view = match known {
                Some(index) => before.swap_remove(index),
                None => self.open(rid, main, now),
            };
            self.all.push(view);
        }
    }

    fn open(&self, rid: &Arc<str>, main: &Intake, now: Instant) -> View {
        let (media, extensions) = (self.media.clone(), self.extensions);
        // Packets are counted where they come in.
        let mut intake = Intake::new(media, extensions, Some(rid), Arc::default(), now);
        intake.adopt(main, now);
        View {
            rid: rid.clone(),
            intake,
        }
    }

    /// Takes the plain RTP packet that `out.published` holds from `start` on.
    pub(super) fn packet(&mut self, start: usize, now: Instant, out: &mut Outbox) {
        out.room_for_layers(self.all.len());
        for (view, layer) in self.all.iter_mut().zip(&mut out.layers) {
            let begin = layer.bytes.len();
            layer.bytes.extend_from_slice(&out.published.bytes[start..]);
            view.intake.packet(begin, now, layer);
        }
    }

    pub(super) fn sender_report(&mut self, report: &SenderReport, now: Instant, out: &mut Outbox) {
        out.room_for_layers(self.all.len());
        for (view, layer) in self.all.iter_mut().zip(&mut out.layers) {
            view.intake.sender_report(report, now, layer);
        }
    }

    /// Somebody who watches this layer wants a key frame.
    pub(super) fn want_keyframe(&mut self, rid: &str, now: Instant) {
        for view in self.all.iter_mut().filter(|view| &*view.rid == rid) {
            view.intake.want_keyframe(now);
        }
    }

    /// When [`Views::handle_timeout`] wants to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter_map(|view| view.intake.due()).min()
    }

    /// Does what is due; what is to be asked for beside `asks` is added there.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox, asks: &mut Asks) {
        out.room_for_layers(self.all.len());
        for (view, layer) in self.all.iter_mut().zip(&mut out.layers) {
            asks.join(view.intake.handle_timeout(now, layer));
        }
    }

    /// Which layer each of the watched is served from now: it may not be sent at the moment.
    pub(super) fn served(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.all.iter().map(|view| {
            let mut layers = view.intake.layers();
            let current = layers.find(|(_, _, forwarded)| *forwarded);
            (&*view.rid, current.map(|(rid, ..)| rid))
        })
    }
}

impl Asks {
    /// Takes in what is not asked for already.
    fn join(&mut self, other: Self) {
        for (ssrc, missing) in other.missing {
            match self.missing.iter_mut().find(|(it, _)| *it == ssrc) {
                Some((_, known)) => {
                    let new = missing.into_iter().filter(|seq| !known.contains(seq));
                    let new: Vec<u16> = new.collect();
                    known.extend(new);
                }
                None => self.missing.push((ssrc, missing)),
            }
        }
        for keyframe in other.keyframes {
            if !self.keyframes.contains(&keyframe) {
                self.keyframes.push(keyframe);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peer::published::Published;
    use crate::rtp::codec::Codec;
    use crate::rtp::header::Header;

    const KEY: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];

    fn views(rids: &[&str]) -> (Views, Intake) {
        let setup = |codec, payload_type, rids: &[&str]| IntakeSetup {
            codec,
            payload_type,
            rtx: None,
            ingest_payload_type: payload_type + 1,
            rids: rids.iter().map(|&rid| rid.to_owned()).collect(),
            nack: true,
            pli: true,
        };
        let media = [
            Some(setup(Codec::Vp8, 96, rids)),
            Some(setup(Codec::Opus, 111, &[])),
        ];
        let extensions = ExtensionIds {
            rid: Some(10),
            ..ExtensionIds::default()
        };
        let main = Intake::new(
            media.clone(),
            extensions,
            None,
            Arc::default(),
            Instant::now(),
        );
        (Views::new(media, extensions), main)
    }

    /// What each view gives for one packet of video (with its RID) or sound (without): SSRC and number.
    fn send(
        views: &mut Views,
        rid: Option<u8>,
        (ssrc, seq): (u32, u16),
        now: Instant,
    ) -> Vec<Vec<(u32, u16)>> {
        let mut out = Outbox::default();
        out.published.bytes.extend(packet(rid, (ssrc, seq)));
        views.packet(0, now, &mut out);
        let layers = out.layers.iter().map(|layer| {
            let packets = layer.packets().filter_map(|it| Header::parse(it).ok());
            packets.map(|header| (header.ssrc, header.seq)).collect()
        });
        layers.collect()
    }

    fn packet(rid: Option<u8>, (ssrc, seq): (u32, u16)) -> Vec<u8> {
        let mut packet = vec![0x90, if rid.is_some() { 96 } else { 111 }];
        packet.extend(seq.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend(ssrc.to_be_bytes());
        let element = [0xa0, rid.unwrap_or(b'-'), 0, 0];
        packet.extend([0xbe, 0xde, 0, 1]);
        packet.extend(if rid.is_some() { element } else { [0; 4] });
        packet.extend(KEY);
        packet
    }

    #[test]
    fn each_view_gets_its_layer_and_the_sound_and_a_loss_is_asked_for_once() {
        let now = Instant::now();
        let (mut views, main) = views(&["l", "h"]);
        let rids: [Arc<str>; 2] = ["h".into(), "l".into()];
        views.follow(&rids, &main, now);
        assert_eq!(
            send(&mut views, Some(b'l'), (1, 10), now),
            [vec![], vec![(1, 10)]]
        );
        assert_eq!(
            send(&mut views, Some(b'h'), (2, 20), now),
            [vec![(2, 20)], vec![]]
        );
        assert_eq!(
            send(&mut views, None, (3, 30), now),
            [vec![(3, 30)], vec![(3, 30)]]
        );
        let served: Vec<_> = views.served().collect();
        assert_eq!(served, [("h", Some("h")), ("l", Some("l"))]);
        // Number 31 of the sound is missing for both.
        assert_eq!(send(&mut views, None, (3, 32), now), [vec![], vec![]]);
        let later = now + Duration::from_millis(10);
        assert!(views.due().is_some_and(|due| due <= later));
        let mut asks = Asks::default();
        views.handle_timeout(later, &mut Outbox::default(), &mut asks);
        assert_eq!(asks.missing, [(3, vec![31])]);
        // Whoever stays goes on where it was.
        views.follow(&rids[1..], &main, later);
        assert_eq!(
            send(&mut views, Some(b'l'), (1, 11), later),
            [vec![(1, 11)]]
        );
    }

    /// Chromium names its layers in the first packets only.
    #[test]
    fn a_view_that_opens_later_knows_the_layers_without_their_names() {
        let now = Instant::now();
        let (mut views, mut main) = views(&["l", "h"]);
        let mut out = Published::default();
        out.bytes.extend(packet(Some(b'l'), (1, 10)));
        main.packet(0, now, &mut out);
        views.follow(&["l".into()], &main, now);
        let at_once = now + Duration::from_millis(50);
        assert!(views.due().is_some_and(|due| due <= at_once));
        let mut out = Outbox::default();
        out.published.bytes.extend(packet(None, (1, 11)));
        out.published.bytes[1] = 96;
        views.packet(0, now, &mut out);
        assert_eq!(out.layers[0].packets().count(), 1);
    }

    #[test]
    fn a_key_frame_is_asked_of_the_layer_that_wants_one() {
        let now = Instant::now();
        let (mut views, main) = views(&["l", "h"]);
        views.follow(&["h".into(), "l".into()], &main, now);
        for (rid, source) in [(b'l', (1, 10)), (b'h', (2, 20))] {
            send(&mut views, Some(rid), source, now);
        }
        let mut asked = |rid| {
            views.want_keyframe(rid, now);
            let mut asks = Asks::default();
            views.handle_timeout(now, &mut Outbox::default(), &mut asks);
            asks.keyframes
        };
        assert_eq!(asked("l"), [(1, true)]);
        assert_eq!(asked("h"), [(2, true)]);
        assert_eq!(asked("x"), []);
    }
}
