//! One publisher, sans-IO: datagrams and time in; answers, feedback and plain media for its ingest out.
//!
//! A datagram comes from `fanout` to [`Publisher::datagram`]: STUN and DTLS as a viewer's, SRTP is opened and goes through
//! the intake, SRTCP is read for sender reports. Feedback leaves by time: [`Publisher::handle_timeout`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ice::credentials::Credentials;
use super::ice::{Kind, classify};
use super::intake::Intake;
use super::link::Link;
use super::outbox::{Notice, Outbox, PublisherSetup};
use super::srtp::{Keys, SrtpError};
use super::views::Views;
use crate::net::Path;
use crate::rtp::rtcp::{self, Item};
use crate::stats::Counters;

/// Bytes of DTLS that a publisher may get beyond what its addresses earned: an FFmpeg that lost our first ClientHello
/// says nothing more (C032), so the repetitions must leave. Viewers have no such grant.
const GRANT: usize = 1200;
/// Between two receiver reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Between two requests for a key frame of one source, whoever wants it.
const KEYFRAME_EVERY: Duration = Duration::from_millis(450);
/// The estimate given where only REMB is known: the sender's own loss control does the rest.
const REMB_LEAST_BPS: u64 = 20_000_000;

/// One simulcast layer, for statistics.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LayerNumbers {
    /// Its name.
    pub rid: String,
    /// 0 where it is not sent.
    pub bitrate_bps: u64,
    /// The ingest gets it.
    pub taken: bool,
    /// The layers it stands for towards those who watch one: itself, and those that are not sent now.
    pub serves: Vec<String>,
}

/// The state of one publisher.
pub struct Publisher {
    link: Link,
    intake: Intake,
    views: Views,
    /// Sources a key frame was asked of lately.
    keyframes: Vec<(u32, Instant)>,
    ssrc: u32,
    cname: Arc<str>,
    reduced_size: bool,
    remb: bool,
    next_report: Option<Instant>,
    fir_sequence: u8,
    bytes_reported: u64,
    loss_percent: Option<f64>,
}

impl Publisher {
    /// A publisher nobody has heard of yet.
    #[must_use]
    pub fn new(setup: PublisherSetup, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            link: Link::new(setup.credentials, counters.clone(), now).granted(GRANT),
            views: Views::new(setup.media.clone(), setup.extensions),
            intake: Intake::new(setup.media, setup.extensions, None, counters, now),
            keyframes: Vec::new(),
            ssrc: setup.ssrc,
            cname: setup.cname,
            reduced_size: setup.reduced_size,
            remb: setup.remb,
            next_report: None,
            fir_sequence: 0,
            bytes_reported: 0,
            loss_percent: None,
        }
    }

    /// A datagram that may be this publisher's; `credit` as of [`Viewer::datagram`](super::Viewer::datagram).
    pub fn datagram(
        &mut self,
        path: Path,
        bytes: &[u8],
        credit: bool,
        now: Instant,
        out: &mut Outbox,
    ) {
        let kind = classify(bytes);
        let known = self.link.knows(kind, &path, bytes.len(), credit);
        match kind {
            Kind::Stun => self.link.stun(path, bytes, now, out),
            Kind::Dtls => self.link.dtls(path, bytes, known, out),
            Kind::Rtp => self.srtp(path, bytes, known, now, out),
            Kind::Rtcp => self.srtcp(path, bytes, known, now, out),
            Kind::Unknown => self.link.counters.datagrams_unknown.inc(),
        }
    }

    fn srtp(&mut self, path: Path, bytes: &[u8], known: bool, now: Instant, out: &mut Outbox) {
        let start = out.published.bytes.len();
        out.published.bytes.extend_from_slice(bytes);
        if self.link.open_rtp(path, start, known, now, out) {
            self.views.packet(start, now, out);
            self.intake.packet(start, now, &mut out.published);
            // Before a timer of its own would wake us for it.
            if self.intake.arrivals.may_report(now) {
                self.report_arrivals(out);
            }
        } else {
            out.published.bytes.truncate(start);
        }
    }

    fn srtcp(&mut self, path: Path, bytes: &[u8], known: bool, now: Instant, out: &mut Outbox) {
        let Some(packet) = self.link.open_rtcp(path, bytes, known, now, out) else {
            return;
        };
        for item in rtcp::parse(&packet) {
            match item {
                Ok(Item::SenderReport(report)) => {
                    self.intake.sender_report(&report, now, &mut out.published);
                    self.views.sender_report(&report, now, out);
                }
                Ok(Item::Bye(bye)) => {
                    if self.intake.bye(bye.ssrc) {
                        out.notices.push(Notice::Left);
                    }
                }
                // A publisher receives nothing: reports and requests are about others.
                Ok(_) => {}
                Err(_) => self.link.counters.rtcp_malformed.inc(),
            }
        }
    }

    /// An ICE restart: its checks may be signed with these credentials as well.
    pub fn restart_ice(&mut self, credentials: Credentials, out: &mut Outbox) {
        self.link.restart_ice(credentials, out);
    }

    /// Every ufrag it may be found by.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.link.ufrags()
    }

    /// DTLS has something to say to `path` (None: wherever a check came from last).
    pub fn transmit(&mut self, path: Option<Path>, bytes: Vec<u8>, out: &mut Outbox) {
        self.link.transmit(path, bytes, out);
    }

    /// The hand-shake is done and ended with a datagram from `path`: media may come.
    pub fn connect(
        &mut self,
        keys: &Keys,
        path: Path,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), SrtpError> {
        self.link.connect(keys, path, now, out)?;
        self.next_report = Some(now + REPORT_EVERY);
        Ok(())
    }

    /// Somebody behind the ingest wants a key frame, or who watches the layer `rid`.
    pub fn want_keyframe(&mut self, rid: Option<&str>, now: Instant) {
        match rid {
            Some(rid) => self.views.want_keyframe(rid, now),
            None => self.intake.want_keyframe(now),
        }
    }

    /// These simulcast layers are watched from now on, beside what the ingest gets.
    pub fn watch(&mut self, rids: &[Arc<str>], now: Instant) {
        self.views.follow(rids, &self.intake, now);
    }

    /// When [`Publisher::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.link.security.as_ref()?;
        let due = [
            self.intake.due(),
            self.views.due(),
            self.intake.arrivals.due(),
        ];
        due.into_iter().chain([self.next_report]).flatten().min()
    }

    /// Sends the feedback that is due; late packets are given up.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        let media_due = [self.intake.due(), self.views.due()];
        if media_due.iter().flatten().any(|due| *due <= now) {
            self.ask(now, out);
        }
        if self.intake.arrivals.due().is_some_and(|due| due <= now) {
            self.report_arrivals(out);
        }
        if self.next_report.is_some_and(|due| due <= now) {
            self.next_report = Some(now + REPORT_EVERY);
            self.report(now, out);
        }
    }

    fn report_arrivals(&mut self, out: &mut Outbox) {
        let media = self.intake.any_ssrc();
        let begin = self.compound();
        let reports = self.intake.arrivals.report(self.ssrc, media, &begin);
        for plain in reports {
            self.link.send_rtcp(&plain, out);
        }
    }

    fn ask(&mut self, now: Instant, out: &mut Outbox) {
        let mut asks = self.intake.handle_timeout(now, &mut out.published);
        self.views.handle_timeout(now, out, &mut asks);
        self.throttle(&mut asks.keyframes, now);
        let mut plain = self.compound();
        let nothing = plain.len();
        for (ssrc, missing) in &asks.missing {
            self.link.counters.nack_out.add(missing.len() as u64);
            rtcp::write_nack(&mut plain, self.ssrc, *ssrc, missing);
        }
        for (ssrc, pli) in asks.keyframes {
            self.link.counters.pli_out.inc();
            if pli {
                rtcp::write_pli(&mut plain, self.ssrc, ssrc);
            } else {
                self.fir_sequence = self.fir_sequence.wrapping_add(1);
                rtcp::write_fir(&mut plain, self.ssrc, ssrc, self.fir_sequence);
            }
        }
        if plain.len() > nothing {
            self.link.send_rtcp(&plain, out);
        }
    }

    /// Two who want the same thing at about the same time get it at once.
    fn throttle(&mut self, keyframes: &mut Vec<(u32, bool)>, now: Instant) {
        let recent = |at: Instant| now.saturating_duration_since(at) < KEYFRAME_EVERY;
        self.keyframes.retain(|(_, at)| recent(*at));
        keyframes.retain(|(ssrc, _)| self.keyframes.iter().all(|(it, _)| it != ssrc));
        self.keyframes
            .extend(keyframes.iter().map(|(ssrc, _)| (*ssrc, now)));
    }

    /// RFC 3550 §6.4.2, with the CNAME as a compound packet must have it.
    fn report(&mut self, now: Instant, out: &mut Outbox) {
        let blocks = self.intake.report(now);
        let worst = blocks.iter().map(|block| block.fraction_lost).max();
        self.loss_percent = worst.map(|lost| f64::from(lost) * 100.0 / 256.0);
        let mut plain = Vec::with_capacity(160);
        rtcp::write_receiver_report(&mut plain, self.ssrc, &blocks);
        rtcp::write_sdes_cname(&mut plain, self.ssrc, &self.cname);
        if self.remb && !blocks.is_empty() {
            let bytes =
                self.intake.bytes - std::mem::replace(&mut self.bytes_reported, self.intake.bytes);
            let estimate = (bytes * 8 * 3 / 2).max(REMB_LEAST_BPS);
            let ssrcs: Vec<u32> = blocks.iter().map(|block| block.ssrc).collect();
            rtcp::write_remb(&mut plain, self.ssrc, estimate, &ssrcs);
        }
        self.link.send_rtcp(&plain, out);
    }

    /// What feedback begins with: nothing, or the report of a compound packet (RFC 3550 §6.1).
    fn compound(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(128);
        if !self.reduced_size {
            rtcp::write_receiver_report(&mut plain, self.ssrc, &[]);
        }
        plain
    }

    /// Appends the goodbye (RFC 3550 §6.6).
    pub fn goodbye(&mut self, out: &mut Outbox) {
        let mut plain = Vec::with_capacity(64);
        rtcp::write_receiver_report(&mut plain, self.ssrc, &[]);
        rtcp::write_sdes_cname(&mut plain, self.ssrc, &self.cname);
        rtcp::write_bye(&mut plain, &[self.ssrc]);
        self.link.send_rtcp(&plain, out);
    }

    /// Media may follow a nomination by time; wants to be called a few times a second.
    pub fn follow(&mut self, now: Instant) {
        self.link.follow(now);
    }

    /// When something of it authenticated last.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.link.heard
    }

    /// RTP packets and bytes received.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        (self.intake.packets, self.intake.bytes)
    }

    /// Its simulcast layers.
    #[must_use]
    pub fn layers(&self) -> Vec<LayerNumbers> {
        let layers = self.intake.layers();
        let numbers = layers.map(|(rid, bitrate_bps, taken)| LayerNumbers {
            rid: rid.to_owned(),
            bitrate_bps,
            taken,
            serves: self
                .views
                .served()
                .filter(|(_, by)| *by == Some(rid))
                .map(|(watched, _)| watched.to_owned())
                .collect(),
        });
        numbers.collect()
    }

    /// Loss in the last report, percent: the worst of its sources.
    #[must_use]
    pub fn loss_percent(&self) -> Option<f64> {
        self.loss_percent
    }

    /// Where it sends from; None until connected.
    #[must_use]
    pub fn media_path(&self) -> Option<&Path> {
        let path = self.link.media_path.as_ref();
        path.filter(|_| self.link.security.is_some())
    }

    /// Every path it may be found at.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.link.paths.all()
    }
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
