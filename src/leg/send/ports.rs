//! The sockets to FFmpeg's ports. What is sent waits until it is flushed: the packets of a frame go in one system call, as
//! one segmented message (GSO) where they are equally long; FFmpeg is then woken once for a frame and not for each packet.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::net::{MAX_MESSAGES, Outcome, Path, SendBatch};
use crate::rtp::Media;
use crate::rtp::rtcp;
use crate::stats::Counters;

use super::InputNumbers;
use super::line::{Packet, Wire};

/// What one segmented message takes: packets (UDP_MAX_SEGMENTS), and bytes of one datagram.
const SEGMENTS_MAX: u64 = 64;
const BYTES_MAX: usize = 65_000;

/// The connected sockets, by medium.
pub(super) struct Ports {
    sockets: [Option<(UdpSocket, Path)>; 2],
    gso: bool,
    /// Whose messages wait.
    media: Media,
    waiting: Vec<Message>,
    bytes: Vec<u8>,
    batch: SendBatch,
    /// A datagram was refused since the last look.
    pub(super) refused: bool,
    pub(super) sent_at: Option<Instant>,
    pub(super) numbers: Arc<InputNumbers>,
    counters: Arc<Counters>,
}

/// Packets that leave together.
struct Message {
    kind: Packet,
    start: usize,
    len: usize,
    /// Length of each packet but the last one, which may be shorter and then ends it.
    segment: usize,
    packets: u64,
    ended: bool,
}

impl Ports {
    pub(super) fn new(
        sockets: [Option<(UdpSocket, SocketAddr)>; 2],
        gso: bool,
        numbers: Arc<InputNumbers>,
        counters: Arc<Counters>,
    ) -> Self {
        let with_path = |(socket, remote)| {
            let path = Path {
                socket: 0,
                local: None,
                remote,
            };
            (socket, path)
        };
        Self {
            sockets: sockets.map(|it| it.map(with_path)),
            gso,
            media: Media::Video,
            waiting: Vec::with_capacity(MAX_MESSAGES),
            bytes: Vec::new(),
            batch: SendBatch::default(),
            refused: false,
            sent_at: None,
            numbers,
            counters,
        }
    }

    /// A receiver report about nothing.
    pub(super) fn probe(&mut self, now: Instant) {
        let mut bytes = Vec::with_capacity(8);
        rtcp::write_receiver_report(&mut bytes, 0, &[]);
        for media in [Media::Video, Media::Audio] {
            self.send(media, Packet::Rtcp, &bytes);
        }
        self.flush();
        self.sent_at = Some(now);
    }

    /// Takes refusals of what was sent.
    pub(super) fn look(&mut self) {
        for (socket, _) in self.sockets.iter().flatten() {
            let error = socket.take_error().ok().flatten();
            self.refused |= error.is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused);
        }
    }

    /// Sends what waits. A full buffer loses it: nobody waits for FFmpeg.
    pub(super) fn flush(&mut self) {
        if let Some((socket, path)) = &self.sockets[self.media as usize] {
            for (tag, message) in self.waiting.iter().enumerate() {
                let segment = match message.packets {
                    1 => 0,
                    // A packet came in a datagram or is silence: it is shorter than 64 KB.
                    _ => u16::try_from(message.segment).unwrap_or(0),
                };
                self.batch
                    .push(path, message.start, message.len, segment, tag);
            }
            self.batch
                .flush(socket.as_fd(), &self.bytes, |tag, outcome| match outcome {
                    Outcome::Sent | Outcome::SentPlain => {
                        let message = &self.waiting[tag];
                        let (packets, bytes) = (message.packets, message.len as u64);
                        if message.kind != Packet::Rtcp {
                            self.numbers
                                .sent(message.kind, packets, bytes, &self.counters);
                        }
                    }
                    Outcome::Failed(errno) => self.refused |= errno == libc::ECONNREFUSED,
                    Outcome::Blocked => {}
                });
        }
        self.waiting.clear();
        self.bytes.clear();
    }
}

impl Wire for Ports {
    fn send(&mut self, media: Media, kind: Packet, bytes: &[u8]) {
        let len = bytes.len();
        if media != self.media || self.waiting.len() >= MAX_MESSAGES {
            self.flush();
            self.media = media;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let last = self.waiting.last_mut().filter(|last| {
            self.gso
                && kind == last.kind
                && !last.ended
                && len <= last.segment
                && last.packets < SEGMENTS_MAX
                && last.len + len <= BYTES_MAX
        });
        match last {
            Some(last) => {
                last.len += len;
                last.packets += 1;
                last.ended = len < last.segment;
            }
            None => self.waiting.push(Message {
                kind,
                start,
                len,
                segment: len,
                packets: 1,
                ended: false,
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;

    fn rig(gso: bool) -> (Ports, UdpSocket) {
        let (from, to) = (
            UdpSocket::bind("127.0.0.1:0"),
            UdpSocket::bind("127.0.0.1:0"),
        );
        let (from, to) = (from.unwrap(), to.unwrap());
        let address = to.local_addr().unwrap();
        from.connect(address).unwrap();
        from.set_nonblocking(true).unwrap();
        to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let sockets = [Some((from, address)), None];
        (Ports::new(sockets, gso, Arc::default(), Arc::default()), to)
    }

    #[test]
    fn packets_arrive_one_by_one_and_in_order_however_they_left() {
        for gso in [true, false] {
            let (mut ports, reader) = rig(gso);
            let lengths = [40, 1200, 1200, 1200, 700, 1200, 1200, 28, 900];
            for (index, len) in lengths.into_iter().enumerate() {
                let kind = if len == 28 { Packet::Rtcp } else { Packet::Rtp };
                ports.send(Media::Video, kind, &vec![index as u8; len]);
            }
            // 40, 3 × 1200 and 700, 2 × 1200, the report, 900.
            assert_eq!(ports.waiting.len(), if gso { 5 } else { lengths.len() });
            ports.flush();
            let mut buffer = [0; 2000];
            for (index, len) in lengths.into_iter().enumerate() {
                assert_eq!(reader.recv(&mut buffer).unwrap(), len);
                assert_eq!(buffer[0], index as u8);
            }
            let numbers = &ports.numbers;
            assert_eq!(numbers.packets.load(Ordering::Relaxed), 8);
            assert_eq!(numbers.bytes.load(Ordering::Relaxed), 7640);
            assert_eq!(ports.counters.input_packets_out.value(), 8);
        }
    }

    #[test]
    fn more_than_one_message_takes_goes_in_several() {
        let (mut ports, reader) = rig(true);
        for _ in 0..150 {
            ports.send(Media::Video, Packet::Rtp, &[7; 100]);
        }
        // Of another medium, which has no port here.
        ports.send(Media::Audio, Packet::Rtp, &[8; 100]);
        ports.flush();
        for _ in 0..150 {
            assert_eq!(reader.recv(&mut [0; 200]).unwrap(), 100);
        }
        assert_eq!(ports.numbers.packets.load(Ordering::Relaxed), 150);
    }

    #[test]
    fn a_closed_port_is_noticed() {
        let (mut ports, reader) = rig(true);
        drop(reader);
        let now = Instant::now();
        while !ports.refused {
            assert!(now.elapsed() < Duration::from_secs(5), "never refused");
            ports.probe(now);
            ports.look();
        }
        assert_eq!(ports.numbers.packets.load(Ordering::Relaxed), 0);
    }
}
