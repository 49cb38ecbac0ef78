//! The floor's way in: RTP in batches, gathered into frames.

use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

use crate::host;

/// Packets per system call, and the longest one.
const BATCH: usize = 64;
const PACKET_MAX: usize = 1500;
/// Of a fixed RTP header (RFC 3550 §5.1).
const HEADER: usize = 12;

/// The socket FFmpeg sends to.
pub struct Leg {
    socket: UdpSocket,
    buffers: Vec<[u8; PACKET_MAX]>,
}

impl Leg {
    /// On a port of the system's choice.
    pub fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        host::grow_receive_buffer(&socket);
        Ok(Self {
            socket,
            buffers: vec![[0; PACKET_MAX]; BATCH],
        })
    }

    /// Its port.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// For `poll`.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// What is there now, at most a batch.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8])) {
        // SAFETY: both are plain data, null pointers with zero lengths are valid.
        let (mut parts, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { MaybeUninit::zeroed().assume_init() };
        for ((part, header), buffer) in parts.iter_mut().zip(&mut headers).zip(&mut self.buffers) {
            part.iov_base = buffer.as_mut_ptr().cast();
            part.iov_len = PACKET_MAX;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to a part in this frame and a buffer of `self`, with true lengths.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        for index in 0..usize::try_from(count).unwrap_or(0) {
            take(&self.buffers[index][..headers[index].msg_len as usize]);
        }
    }
}

/// The packets of one frame, payloads one after the other.
#[derive(Default)]
pub struct Frame {
    /// RTP timestamp of the feed.
    pub timestamp: [u8; 4],
    /// A key frame begins with its parameter sets, alone in a packet (STAP-A).
    pub is_key: bool,
    payload: Vec<u8>,
    lengths: Vec<usize>,
}

impl Frame {
    /// Adds a packet; true where it was the last of the frame.
    pub fn take(&mut self, packet: &[u8]) -> bool {
        let Some((header, payload)) = packet.split_at_checked(HEADER) else {
            return false;
        };
        if self.lengths.is_empty() {
            self.timestamp.copy_from_slice(&header[4..8]);
            self.is_key = payload.first() == Some(&0x78);
        }
        self.payload.extend_from_slice(payload);
        self.lengths.push(payload.len());
        header[1] & 0x80 != 0
    }

    /// Empty again.
    pub fn clear(&mut self) {
        self.payload.clear();
        self.lengths.clear();
    }

    /// Its packets' payloads.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut rest = &self.payload[..];
        self.lengths.iter().map(move |len| {
            let (packet, after) = rest.split_at(*len);
            rest = after;
            packet
        })
    }
}
