//! The way in: packets of a leg are checked, put on the stream's continuous line and gathered into frame batches.

use std::time::Instant;

use crate::rtp::Media;

/// Feeds one stream. Sans-IO: bytes and time are arguments. One owner (the leg's receiver).
pub struct Ingest {}

impl Ingest {
    /// One datagram that came in on the leg port of `port` (or on the single port, where `port` is None), RTP or
    /// RTCP (RFC 5761 §4: second byte 192–223 is RTCP).
    pub fn datagram(&mut self, port: Option<Media>, datagram: &[u8], now: Instant) {
        let _ = (port, datagram, now);
        todo!("built by the stream helper")
    }

    /// When [`Ingest::handle_timeout`] wants to be called (1 ms of silence closes a batch; a silence ends liveness).
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Closes what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// FFmpeg will be started with other arguments on the same ports: other codecs, payload types, start time. The
    /// stream's line goes on, as after a restart; tracks no longer expected vanish from its info.
    pub fn expect(&mut self, expectation: super::Expectation) {
        let _ = expectation;
        todo!()
    }
}
