//! One WHIP publisher, as lean as it goes: H.264 frames of a fixed number of packets, Opus, sender reports. What a server asks
//! of it is read and ignored. Time is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc_crypto::RTCCrypto;

use crate::crowd::dtls::Context;
use crate::crowd::http::Url;
use crate::crowd::peer::{Peer, Phase};
use crate::crowd::{self, Error, random, sdp, stamp};
use crate::feed::{self, KEY_FRAME_EVERY, PACKET};

const VIDEO_PAYLOAD_TYPE: u8 = 96;
const AUDIO_PAYLOAD_TYPE: u8 = 111;
/// Opus frames of 20 ms (RFC 7587): bytes of one, clock ticks of one.
const AUDIO_BYTES: usize = 80;
const AUDIO_EVERY: Duration = Duration::from_millis(20);
const AUDIO_TICKS: u32 = 960;
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Seconds from 1900 to 1970 (RFC 3550 §4).
const NTP_OF_1970: u64 = 2_208_988_800;

/// How it sends.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Frames a second.
    pub fps: u32,
    /// Packets a frame.
    pub packets: u32,
    /// A frame's packets are spread over so long, as a browser's pacer does; zero: one after the other.
    pub spread: Duration,
}

struct Source {
    ssrc: u32,
    sequence: u16,
    payload_type: u8,
    clock: u32,
    packets: u32,
    bytes: u32,
}

/// One publisher.
pub struct Publisher {
    /// Packets it sent so far.
    pub sent: u64,
    peer: Peer,
    resource: Option<Url>,
    pace: Pace,
    video: Source,
    audio: Source,
    transport_sequence: u16,
    packet: Vec<u8>,
    frame: u32,
    /// Of the present frame.
    index: u32,
    next_frame: Instant,
    next_packet: Instant,
    audio_frame: u32,
    next_audio: Instant,
    next_report: Instant,
    begun: Instant,
}

impl Publisher {
    /// POSTs its offer.
    pub fn open(url: &Url, context: &Arc<Context>, pace: Pace) -> Result<Self, Error> {
        let (video, audio) = (random_ssrc(), random_ssrc());
        let offer = |local: &sdp::Local<'_>| sdp::publish(local, video, audio);
        let (setup, resource) = crowd::open(url, None, "actpass", context, offer)?;
        let now = Instant::now();
        let source = |ssrc, payload_type, clock| Source {
            ssrc,
            sequence: 1000,
            payload_type,
            clock,
            packets: 0,
            bytes: 0,
        };
        Ok(Self {
            sent: 0,
            peer: Peer::new(setup, context, now)?,
            resource,
            pace,
            video: source(video, VIDEO_PAYLOAD_TYPE, 90_000),
            audio: source(audio, AUDIO_PAYLOAD_TYPE, 48_000),
            transport_sequence: 0,
            packet: Vec::with_capacity(PACKET),
            frame: 0,
            index: 0,
            next_frame: now,
            next_packet: now,
            audio_frame: 0,
            next_audio: now,
            next_report: now,
            begun: now,
        })
    }

    /// Whether it may send.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.peer.phase == Phase::Connected
    }

    /// The first frame is due at `now`.
    pub fn begin(&mut self, now: Instant) {
        (self.begun, self.next_frame, self.next_packet) = (now, now, now);
        (self.next_audio, self.next_report) = (now, now);
    }

    /// Reads what came, and keeps the connection.
    pub fn serve(&mut self, crypto: &dyn RTCCrypto, now: Instant) {
        let mut buffer = [0; 2048];
        while self.peer.receive(&mut buffer, crypto, now).is_ok() {}
        self.peer.tick(now);
    }

    /// Sends what is due; when to call again.
    pub fn send_due(&mut self, now: Instant) -> Instant {
        while self.next_packet <= now {
            self.video_packet();
            if self.index < self.pace.packets {
                self.next_packet += self.pace.spread / self.pace.packets;
                continue;
            }
            self.index = 0;
            self.frame += 1;
            self.next_frame = self.begun + Duration::from_secs(1) * self.frame / self.pace.fps;
            self.next_packet = self.next_frame;
        }
        while self.next_audio <= now {
            self.audio_packet();
            self.audio_frame += 1;
            self.next_audio = self.begun + AUDIO_EVERY * self.audio_frame;
        }
        if self.next_report <= now {
            self.next_report += REPORT_EVERY;
            self.report(now);
        }
        self.next_packet.min(self.next_audio).min(self.next_report)
    }

    /// close_notify, then DELETE.
    pub fn leave(&mut self) {
        self.peer.close();
        if let Some(resource) = self.resource.take()
            && let Ok(stream) = crowd::http::connect(&resource)
        {
            let _ = crowd::http::exchange(stream, "DELETE", &resource, "", "");
        }
    }

    fn video_packet(&mut self) {
        let last = self.index + 1 == self.pace.packets;
        self.head(true, last, self.frame.wrapping_mul(90_000 / self.pace.fps));
        let key = self.frame.is_multiple_of(KEY_FRAME_EVERY);
        feed::payload(&mut self.packet, key, self.index, self.pace.packets);
        self.seal();
        self.index += 1;
    }

    fn audio_packet(&mut self) {
        // The marker begins a talkspurt (RFC 7587 §4.1).
        let marker = self.audio_frame == 0;
        self.head(false, marker, self.audio_frame.wrapping_mul(AUDIO_TICKS));
        // CELT, 20 ms, one frame (RFC 6716 §3.1).
        self.packet.push(0xf8);
        self.packet
            .resize(self.packet.len() + AUDIO_BYTES - 1, 0x5a);
        self.seal();
    }

    /// The header with its extension: mid and the transport-wide number (RFC 8285 §4.2).
    fn head(&mut self, video: bool, marker: bool, timestamp: u32) {
        let source = if video {
            &mut self.video
        } else {
            &mut self.audio
        };
        let packet = &mut self.packet;
        packet.clear();
        packet.push(0x90);
        packet.push(u8::from(marker) << 7 | source.payload_type);
        packet.extend_from_slice(&source.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&source.ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 2, sdp::MID << 4]);
        packet.push(if video { b'0' } else { b'1' });
        packet.push(sdp::TRANSPORT_CC << 4 | 1);
        packet.extend_from_slice(&self.transport_sequence.to_be_bytes());
        packet.extend_from_slice(&[0; 3]);
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        source.sequence = source.sequence.wrapping_add(1);
        source.packets = source.packets.wrapping_add(1);
        source.bytes = source.bytes.wrapping_add(PACKET as u32);
    }

    fn seal(&mut self) {
        let Some(protection) = &mut self.peer.protection else {
            return;
        };
        // The packet with the parameter sets is short and whole: it stays as it is.
        if self.packet.len() >= AUDIO_BYTES {
            stamp::mark(&mut self.packet, stamp::now_ns());
        }
        if let Ok(sealed) = protection.outgoing.encrypt_rtp(&self.packet)
            && self.peer.socket.send(&sealed).is_ok()
        {
            self.sent += 1;
        }
    }

    /// A sender report of each medium with its name (RFC 3550 §6.4.1, §6.5).
    fn report(&mut self, now: Instant) {
        let wall = stamp::now_ns();
        let seconds = (wall / 1_000_000_000 + NTP_OF_1970) as u32;
        let fraction = ((u128::from(wall % 1_000_000_000) << 32) / 1_000_000_000) as u32;
        for source in [&self.video, &self.audio] {
            let elapsed = now.saturating_duration_since(self.begun).as_secs_f64();
            let ticks = (elapsed * f64::from(source.clock)) as u32;
            let mut report = vec![0x80, 200, 0, 6];
            for word in [
                source.ssrc,
                seconds,
                fraction,
                ticks,
                source.packets,
                source.bytes,
            ] {
                report.extend_from_slice(&word.to_be_bytes());
            }
            report.extend_from_slice(&[0x81, 202, 0, 3]);
            report.extend_from_slice(&source.ssrc.to_be_bytes());
            report.extend_from_slice(b"\x01\x05bench\0");
            self.peer.send_rtcp(&report);
        }
    }
}

fn random_ssrc() -> u32 {
    u32::from_be_bytes(random())
}
