//! One viewer: a peer that receives. Receiver reports, and the count of what arrives. Driven by [`super::io`].

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc_crypto::RTCCrypto;

use super::dtls::Context;
use super::peer::{Peer, Phase, Setup, random};
use super::{Error, filter, stamp};

const REPORT_EVERY: Duration = Duration::from_secs(5);

/// One viewer.
pub struct Viewer {
    /// Its connection.
    pub peer: Peer,
    /// RTP packets read.
    pub read: u64,
    /// Of these, those whose authentication was good.
    pub authentic: u64,
    /// Of marked packets, from their sending to this socket.
    pub latencies_ns: Vec<u64>,
    /// One packet in so many is read and authenticated.
    sample: u32,
    next_report: Instant,
    ssrc: u32,
    /// SSRC and highest sequence seen.
    heard: Option<(u32, u16)>,
    drops_before: u32,
}

impl Viewer {
    /// Starts with a check at the first tick.
    pub fn new(
        setup: Setup,
        sample: u32,
        context: &Arc<Context>,
        now: Instant,
    ) -> Result<Self, Error> {
        stamp::enable(&setup.socket)?;
        Ok(Self {
            peer: Peer::new(setup, context, now)?,
            read: 0,
            authentic: 0,
            latencies_ns: Vec::new(),
            sample,
            next_report: now + REPORT_EVERY,
            ssrc: u32::from_be_bytes(random()),
            heard: None,
            drops_before: 0,
        })
    }

    /// RTP packets that arrived: read ones, and those the filter dropped.
    #[must_use]
    pub fn received(&self) -> u64 {
        let dropped = match self.peer.protection {
            Some(_) => filter::drops(self.peer.socket.as_raw_fd()).wrapping_sub(self.drops_before),
            None => 0,
        };
        self.read + u64::from(dropped)
    }

    /// Reads until the socket is empty.
    pub fn readable(&mut self, crypto: &dyn RTCCrypto, now: Instant) {
        let mut buffer = [0_u8; 2048];
        loop {
            let before = self.peer.phase;
            match self.peer.receive(&mut buffer, crypto, now) {
                Ok(Some((len, at))) => self.take_media(&buffer[..len], at),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            if before == Phase::Joining && self.peer.phase == Phase::Connected {
                let socket = &self.peer.socket;
                self.drops_before = filter::drops(socket.as_raw_fd());
                if filter::attach(socket, self.sample).is_err() {
                    self.peer.phase = Phase::Gone;
                }
            }
        }
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Instant) {
        self.peer.tick(now);
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.report();
        }
    }

    fn take_media(&mut self, datagram: &[u8], at_ns: u64) {
        let Some(protection) = &mut self.peer.protection else {
            return;
        };
        if datagram.len() < 12 || (64..96).contains(&(datagram[1] & 0x7f)) {
            return;
        }
        self.read += 1;
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        self.heard = Some((ssrc, u16::from_be_bytes([datagram[2], datagram[3]])));
        if let Ok(packet) = protection.incoming.decrypt_rtp(datagram) {
            self.authentic += 1;
            if let Some(sent) = stamp::sent_ns(&packet) {
                self.latencies_ns.push(at_ns.saturating_sub(sent));
            }
        }
    }

    /// An empty or one-block receiver report (RFC 3550 §6.4.2) that complains of nothing.
    fn report(&mut self) {
        let mut report = vec![0x80, 201, 0, 1];
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some((ssrc, sequence)) = self.heard {
            report[0] = 0x81;
            report[3] = 7;
            report.extend_from_slice(&ssrc.to_be_bytes());
            report.extend_from_slice(&[0; 4]);
            report.extend_from_slice(&u32::from(sequence).to_be_bytes());
            report.extend_from_slice(&[0; 12]);
        }
        self.peer.send_rtcp(&report);
    }
}
