//! A stand-in for FFmpeg: H.264 RTP at a fixed frame rate, every frame the same number of packets.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of an RTP packet, header included.
pub(crate) const PACKET: usize = 1200;
/// Frames from one key frame to the next.
pub(crate) const KEY_FRAME_EVERY: u32 = 60;
/// x264's baseline 3.1 parameter sets of a 1280x720 picture: SPS and PPS, each with its length as in a STAP-A.
const PARAMETER_SETS: &[u8] = &[
    0x00, 0x17, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x00, 0x04, 0x68, 0xcb, 0x83, 0xcb,
];

/// One RTP source; sequence and timestamp go on from call to call.
pub struct Feed {
    socket: UdpSocket,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    frame: u32,
    packet: Vec<u8>,
}

impl Feed {
    /// Sends to `port` on 127.0.0.1.
    pub fn new(port: u16, payload_type: u8) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", port))?;
        Ok(Self {
            socket,
            payload_type,
            ssrc: 0x5eed_0001,
            sequence: 1000,
            frame: 0,
            packet: Vec::with_capacity(PACKET),
        })
    }

    /// Sends `frames` frames of `packets` packets at `fps`; returns the packets sent once the last one is out.
    pub fn run(&mut self, frames: u32, packets: u32, fps: u32) -> io::Result<u64> {
        let start = Instant::now();
        let mut sent = 0;
        for frame in 0..frames {
            let due = start + Duration::from_secs(1) * frame / fps;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            sent += self.frame(packets)?;
        }
        Ok(sent)
    }

    /// Sends one frame, `packets` packets in one go as FFmpeg does, the marker on the last.
    pub fn frame(&mut self, packets: u32) -> io::Result<u64> {
        let key = self.frame.is_multiple_of(KEY_FRAME_EVERY);
        for index in 0..packets {
            self.build(key, index, packets);
            // ECONNREFUSED is an earlier packet's ICMP answer: the server isn't there (yet).
            match self.socket.send(&self.packet) {
                Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                    return Err(error);
                }
                _ => {}
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.frame += 1;
        Ok(u64::from(packets))
    }

    fn build(&mut self, key: bool, index: u32, packets: u32) {
        let last = index + 1 == packets;
        let packet = &mut self.packet;
        packet.clear();
        packet.push(0x80);
        packet.push(u8::from(last) << 7 | self.payload_type);
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.frame.wrapping_mul(3000).to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        payload(packet, key, index, packets);
    }
}

/// Appends the payload of packet `index` of a frame of `packets`: the RTP packet is [`PACKET`] bytes long then.
pub(crate) fn payload(packet: &mut Vec<u8>, key: bool, index: u32, packets: u32) {
    let last = index + 1 == packets;
    let slice_from = u32::from(key && packets > 1);
    if index < slice_from {
        // STAP-A (RFC 6184 §5.7.1): the parameter sets are the first packet of a key frame.
        packet.push(0x78);
        packet.extend_from_slice(PARAMETER_SETS);
        return;
    }
    // FU-A (RFC 6184 §5.8) of an IDR slice, or of a P slice.
    let nal_type = if key { 5 } else { 1 };
    packet.push(0x7c);
    // A fragment is never start and end at once: a frame of one packet goes without its end.
    let (first, end) = (index == slice_from, last && index != slice_from);
    packet.push(u8::from(first) << 7 | u8::from(end) << 6 | nal_type);
    if first {
        // first_mb 0, slice type I or P, picture parameter set 0.
        packet.extend_from_slice(if key { &[0x88, 0x84] } else { &[0x9a, 0x24] });
    }
    packet.resize(PACKET, 0xa5);
}
