//! RTP and RTCP packets as interleaved frames of an RTSP connection.

use crate::rtp::Media;

use super::super::send::line::{Packet, Wire};
use super::Entry;

/// Where a line's packets go: the bytes that wait to be written.
pub(super) struct Interleaved<'a> {
    out: &'a mut Vec<u8>,
    channels: [Option<u8>; 2],
    entry: &'a Entry,
}

impl<'a> Interleaved<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, channels: [Option<u8>; 2], entry: &'a Entry) -> Self {
        Self {
            out,
            channels,
            entry,
        }
    }
}

impl Wire for Interleaved<'_> {
    fn send(&mut self, media: Media, kind: Packet, bytes: &[u8]) {
        let Some(channel) = self.channels[media as usize] else {
            return;
        };
        if kind == Packet::Rtcp {
            frame(self.out, channel + 1, bytes);
            return;
        }
        frame(self.out, channel, bytes);
        self.entry
            .numbers
            .sent(kind, 1, bytes.len() as u64, &self.entry.counters);
    }
}

/// RFC 2326 §10.12. A packet is shorter than 64 KB: it came in a datagram.
pub(super) fn frame(out: &mut Vec<u8>, channel: u8, bytes: &[u8]) {
    let Ok(len) = u16::try_from(bytes.len()) else {
        return;
    };
    out.extend_from_slice(&[b'$', channel]);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
