//! One viewer, sans-IO: datagrams and time in; datagrams, news for its session and sealed media out.
//!
//! A datagram comes from `fanout` (which asked `net` whose it is) to [`Viewer::datagram`]: STUN is answered here, DTLS
//! goes on to the session (hand-shakes run off the send threads), SRTCP is opened and read. Media goes the other way
//! through [`Viewer::begin`] and [`Viewer::seal`].

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::feedback::{Feedback, News, Reception};
use super::ice::credentials::Credentials;
use super::ice::{Kind, classify};
use super::link::Link;
use super::outbox::{Notice, Outbox, ViewerSetup};
use super::repair::Repair;
use super::srtp::{Keys, SrtpError};
use super::track::{HEADER_LEN, Track};
use super::transport::{EXTENSION_LEN, Transport, TransportNumbers};
use crate::net::Path;
use crate::rtp::codec::Codec;
use crate::rtp::{Media, rtcp};
use crate::stats::Counters;

/// A packet of the stream, the same for all viewers.
#[derive(Debug, Clone, Copy)]
pub struct StreamPacket<'a> {
    /// Which track.
    pub media: Media,
    /// The stream's number of it.
    pub seq: u64,
    /// The stream's time.
    pub timestamp: u32,
    /// Last of its frame.
    pub marker: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// Bytes that sealing a payload of `len` may take: header, extension, tag, the original sequence number of a retransmission
/// (RFC 4588 §4), and the payload once more while it is changed.
#[inline]
#[must_use]
pub fn room_for(len: usize) -> usize {
    2 * len + HEADER_LEN + EXTENSION_LEN + 16 + 2
}

/// Octets of UDP's and IPv4's headers.
pub const UDP_IP_LEN: u64 = 28;

/// Bytes of a packet of this payload as a link sees it.
#[must_use]
pub fn wire_len(payload_len: usize) -> u64 {
    (payload_len + HEADER_LEN + 16) as u64 + UDP_IP_LEN
}

/// The state of one viewer.
pub struct Viewer {
    pub(super) link: Link,
    pub(super) tracks: [Option<Track>; 2],
    /// The kernel takes segmented sends on the path to it.
    pub segments: bool,
    cname: Arc<str>,
    pub(super) feedback: Feedback,
    pub(super) repair: Repair,
    /// Few viewers have it.
    pub(super) transport: Option<Box<Transport>>,
}

impl Viewer {
    /// A viewer nobody has heard of yet. `segments`: may be sent GSO messages.
    #[must_use]
    pub fn new(setup: ViewerSetup, segments: bool, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            link: Link::new(setup.credentials, counters, now),
            tracks: setup.tracks.map(|track| track.map(Track::new)),
            segments,
            cname: setup.cname,
            feedback: Feedback::default(),
            repair: Repair::default(),
            transport: setup
                .transport_cc
                .map(|id| Box::new(Transport::new(id, now))),
        }
    }

    /// A datagram that may be this viewer's. `credit`: its bytes raise what its address may get; of the viewers that
    /// may be meant one alone has that credit, so that they don't send three times the bytes each.
    pub fn datagram(
        &mut self,
        path: Path,
        bytes: &[u8],
        credit: bool,
        now: Instant,
        wall: SystemTime,
        out: &mut Outbox,
    ) {
        let kind = classify(bytes);
        let known = self.link.knows(kind, &path, bytes.len(), credit);
        match kind {
            Kind::Stun => self.link.stun(path, bytes, now, out),
            Kind::Dtls => self.link.dtls(path, bytes, known, out),
            Kind::Rtcp => {
                if let Some(packet) = self.link.open_rtcp(path, bytes, known, now, out) {
                    self.rtcp(&packet, wall, out);
                }
            }
            // A viewer sends no media; nothing here could use it.
            Kind::Rtp => self.link.counters.srtp_rejected.inc(),
            Kind::Unknown => self.link.counters.datagrams_unknown.inc(),
        }
    }

    fn rtcp(&mut self, packet: &[u8], wall: SystemTime, out: &mut Outbox) {
        let ssrcs = [self.ssrc(Media::Video), self.ssrc(Media::Audio)];
        let mut news = News::default();
        if self
            .feedback
            .read(packet, ssrcs, rtcp::ntp_from(wall), &mut news)
            .is_err()
        {
            self.link.counters.rtcp_malformed.inc();
        }
        if let Some(transport) = &mut self.transport {
            let mut items = rtcp::parse(packet).map_while(Result::ok);
            let read = |item| match item {
                rtcp::Item::TransportCc(feedback) => transport.feedback(feedback.raw),
                _ => true,
            };
            if !items.all(read) {
                self.link.counters.rtcp_malformed.inc();
            }
        }
        if news.keyframe_requests > 0 {
            self.link.counters.pli_in.add(news.keyframe_requests);
            out.notices.push(Notice::KeyframeWanted);
        }
        for (media, missing) in [Media::Video, Media::Audio].into_iter().zip(news.missing) {
            if !missing.is_empty() {
                self.link.counters.nack_in.add(missing.len() as u64);
                out.notices.push(Notice::Missing(media, missing));
            }
        }
        if news.reported {
            out.notices.push(Notice::Reported);
        }
        if news.bye {
            out.notices.push(Notice::Left);
        }
    }

    /// DTLS has something to say to `path`; None: to where media goes, and before that to every checked address.
    pub fn transmit(&mut self, path: Option<Path>, bytes: Vec<u8>, out: &mut Outbox) {
        self.link.transmit(path, bytes, out);
    }

    /// The hand-shake is done and ended with a datagram from `path`: media may flow there.
    pub fn connect(
        &mut self,
        keys: &Keys,
        path: Path,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), SrtpError> {
        self.link.connect(keys, path, now, out)
    }

    /// An ICE restart: its checks may be signed with these credentials as well. Media goes on where it goes.
    pub fn restart_ice(&mut self, credentials: Credentials, out: &mut Outbox) {
        self.link.restart_ice(credentials, out);
    }

    /// Every ufrag it may be found by.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.link.ufrags()
    }

    /// Where media goes; None until connected.
    #[inline]
    #[must_use]
    pub fn media_path(&self) -> Option<&Path> {
        self.link
            .media_path
            .as_ref()
            .filter(|_| self.link.security.is_some())
    }

    /// A frame of `packets` packets, the first of them the stream's `first_seq`, comes next: shall it be sealed for
    /// this viewer? Video begins with a key frame; a frame of another codec than was answered is never its.
    #[inline]
    pub fn begin(
        &mut self,
        media: Media,
        codec: Codec,
        first_seq: u64,
        packets: usize,
        keyframe: bool,
    ) -> bool {
        let Some(track) = self.tracks[media as usize].as_mut() else {
            return false;
        };
        if track.codec() != codec || self.link.security.is_none() || self.link.media_path.is_none()
        {
            return false;
        }
        if !track.started() {
            if media == Media::Video && !keyframe {
                return false;
            }
            track.start(first_seq);
        }
        track.reach(first_seq + packets as u64);
        true
    }

    /// Something of this track was sent.
    #[inline]
    #[must_use]
    pub fn started(&self, media: Media) -> bool {
        self.tracks[media as usize]
            .as_ref()
            .is_some_and(Track::started)
    }

    /// Writes one SRTP packet to the beginning of `out`, under this viewer's header and key; its length, 0 where it is
    /// not this viewer's. `out` has [`room_for`] its payload.
    #[inline]
    pub fn seal(&mut self, packet: &StreamPacket<'_>, out: &mut [u8]) -> usize {
        let StreamPacket {
            media,
            seq,
            timestamp,
            marker,
            payload,
        } = *packet;
        let (Some(security), Some(track)) = (&self.link.security, &self.tracks[media as usize])
        else {
            return 0;
        };
        let Some(index) = track.index(seq) else {
            return 0;
        };
        let plain = track.header(index, timestamp, marker);
        let extended;
        let header: &[u8] = match &mut self.transport {
            None => &plain,
            Some(transport) => {
                let len = payload.len() + HEADER_LEN + EXTENSION_LEN + 16;
                let number = transport.number(Some((media, index as u16)), len);
                extended = transport.extended(&plain, number);
                &extended
            }
        };
        let Some(pictures) = track.pictures() else {
            return security.outbound.seal_rtp_into(header, payload, index, out);
        };
        let change = |payload: &mut [u8]| pictures.apply(track.codec(), payload);
        security
            .outbound
            .seal_rtp_changed(header, payload, index, change, out)
    }

    /// What is sealed from here on leaves now.
    #[inline]
    pub fn leaves(&mut self, now: Instant) {
        if let Some(transport) = &mut self.transport {
            transport.leaves(now);
        }
    }

    /// What its transport-wide feedback said, where it gives any.
    #[must_use]
    pub fn transport(&self) -> Option<TransportNumbers> {
        self.transport.as_ref().map(|transport| transport.numbers())
    }

    /// Counts what of a frame was sent.
    #[inline]
    pub fn count(&mut self, media: Media, packets: u32, payload_octets: u32) {
        if let Some(track) = self.tracks[media as usize].as_mut() {
            track.count(packets, payload_octets);
        }
    }

    /// Appends a sealed sender report of each track that has sent something; `stream_timestamp` asks the stream's
    /// clock at `wall`. Each is a datagram of its own.
    pub fn reports(
        &mut self,
        wall: SystemTime,
        stream_timestamp: impl Fn(Media) -> Option<u32>,
        out: &mut Outbox,
    ) {
        let (Some(security), Some(path)) = (&mut self.link.security, self.link.media_path) else {
            return;
        };
        for media in [Media::Video, Media::Audio] {
            let Some(track) = self.tracks[media as usize]
                .as_ref()
                .filter(|track| track.started())
            else {
                continue;
            };
            let Some(timestamp) = stream_timestamp(media) else {
                continue;
            };
            let mut plain = Vec::with_capacity(96);
            track.write_report(&mut plain, rtcp::ntp_from(wall), timestamp, &self.cname);
            let mut sealed = Vec::with_capacity(128);
            security.outbound.seal_rtcp(&plain, &mut sealed);
            out.send.push((path, sealed));
        }
    }

    /// Appends the goodbye (RFC 3550 §6.6), behind an empty receiver report as a compound packet must begin.
    pub fn goodbye(&mut self, out: &mut Outbox) {
        let ssrcs: Vec<u32> = self.tracks.iter().flatten().map(Track::ssrc).collect();
        let (Some(security), Some(path)) = (&mut self.link.security, self.link.media_path) else {
            return;
        };
        let Some(first) = ssrcs.first() else { return };
        let mut plain = Vec::with_capacity(64);
        rtcp::write_receiver_report(&mut plain, *first, &[]);
        rtcp::write_sdes_cname(&mut plain, *first, &self.cname);
        rtcp::write_bye(&mut plain, &ssrcs);
        let mut sealed = Vec::with_capacity(96);
        security.outbound.seal_rtcp(&plain, &mut sealed);
        out.send.push((path, sealed));
    }

    /// Bytes sent of this track for the first time, as a link sees them; wraps.
    #[must_use]
    pub fn wire_bytes(&self, media: Media) -> u32 {
        let Some(track) = &self.tracks[media as usize] else {
            return 0;
        };
        let headers = track.packets().wrapping_mul(wire_len(0) as u32);
        track.octets().wrapping_add(headers)
    }

    /// The sequence number of this track's next packet.
    #[must_use]
    pub fn next_seq(&self, media: Media) -> u16 {
        self.tracks[media as usize]
            .as_ref()
            .map_or(0, Track::next_seq)
    }

    /// What it has reported of its video since this was asked last.
    pub fn take_reception(&mut self) -> Option<Reception> {
        let mut reception = self.feedback.take_reception()?;
        if let Some(transport) = &mut self.transport {
            // Many times as many of them as of round trips.
            reception.rtt = transport.take_delay();
        }
        Some(reception)
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

    /// What it reported of its reception.
    #[must_use]
    pub fn feedback(&self) -> &Feedback {
        &self.feedback
    }

    /// Every path it may be found at.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.link.paths.all()
    }

    fn ssrc(&self, media: Media) -> Option<u32> {
        self.tracks[media as usize].as_ref().map(Track::ssrc)
    }
}
