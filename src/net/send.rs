//! Batched send: `sendmmsg` of messages that may each hold many packets (UDP_SEGMENT, "GSO").
//!
//! The ladder: one message per run of equal packets; where the device or kernel refuses that (EIO, EINVAL), the same
//! packets one by one, and the caller is told so that it asks no more; where `sendmmsg` is missing, `sendmsg`.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{iovec, mmsghdr};
use socket2::SockAddr;

use super::Path;
use super::cmsg::{self, Control};

/// Messages one batch takes.
pub const MAX_MESSAGES: usize = 64;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel took it.
    Sent,
    /// The kernel took it, but only packet by packet: this route can't be sent segments.
    SentPlain,
    /// No room in the socket's buffer: nothing was sent.
    Blocked,
    /// Refused with this errno: nothing (or not all of it) was sent.
    Failed(i32),
}

struct Message {
    start: usize,
    len: usize,
    segment: u16,
    tag: usize,
}

/// Messages gathered for one system call. Their bytes stand in the caller's scratch buffer.
pub struct SendBatch {
    messages: Vec<Message>,
    addresses: Vec<SockAddr>,
    controls: Vec<(Control, usize)>,
    plain_calls: bool,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self {
            messages: Vec::with_capacity(MAX_MESSAGES),
            addresses: Vec::with_capacity(MAX_MESSAGES),
            controls: Vec::with_capacity(MAX_MESSAGES),
            plain_calls: false,
        }
    }
}

impl SendBatch {
    /// No further message fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.len() >= MAX_MESSAGES
    }

    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message: `len` bytes of the scratch from `start`, cut by the kernel every `segment` bytes (0: one
    /// packet). `tag` comes back with its outcome.
    pub fn push(&mut self, path: &Path, start: usize, len: usize, segment: u16, tag: usize) {
        debug_assert!(!self.is_full());
        let mut control = Control::EMPTY;
        let used = cmsg::write(&mut control, segment, path.local, path.remote.is_ipv6());
        self.addresses.push(SockAddr::from(path.remote));
        self.controls.push((control, used));
        self.messages.push(Message {
            start,
            len,
            segment,
            tag,
        });
    }

    /// Sends all messages, tells each one's outcome in order, and is empty again. Never blocks.
    pub fn flush(
        &mut self,
        socket: BorrowedFd<'_>,
        scratch: &[u8],
        mut told: impl FnMut(usize, Outcome),
    ) {
        let mut done = 0;
        while done < self.messages.len() {
            match self.send_from(done, socket, scratch) {
                Ok(sent) => {
                    for message in &self.messages[done..done + sent] {
                        told(message.tag, Outcome::Sent);
                    }
                    done += sent;
                }
                Err(error) => match error.raw_os_error().unwrap_or(libc::EIO) {
                    libc::EINTR => {}
                    libc::ENOSYS if !self.plain_calls => self.plain_calls = true,
                    // One buffer serves them all: what follows would not fit either.
                    libc::EAGAIN | libc::ENOBUFS => {
                        for message in &self.messages[done..] {
                            told(message.tag, Outcome::Blocked);
                        }
                        done = self.messages.len();
                    }
                    libc::EIO | libc::EINVAL if self.messages[done].segment != 0 => {
                        told(
                            self.messages[done].tag,
                            self.send_plain(done, socket, scratch),
                        );
                        done += 1;
                    }
                    errno => {
                        told(self.messages[done].tag, Outcome::Failed(errno));
                        done += 1;
                    }
                },
            }
        }
        self.messages.clear();
        self.addresses.clear();
        self.controls.clear();
    }

    /// One `sendmmsg` of the messages from `first` on; how many the kernel took (at least one, else an error).
    fn send_from(
        &mut self,
        first: usize,
        socket: BorrowedFd<'_>,
        scratch: &[u8],
    ) -> io::Result<usize> {
        // Only what is used is written: clearing them all costs more than filling one.
        let mut parts = [const { MaybeUninit::<iovec>::uninit() }; MAX_MESSAGES];
        let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_MESSAGES];
        let mut count = 0;
        for (index, message) in self
            .messages
            .iter()
            .enumerate()
            .skip(first)
            .take(MAX_MESSAGES)
        {
            let bytes = &scratch[message.start..message.start + message.len];
            let part = parts[count].write(iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
            // SAFETY: mmsghdr is plain data; null pointers with zero lengths are valid.
            let header = &mut headers[count].write(unsafe { zeroed() }).msg_hdr;
            header.msg_name = self.addresses[index].as_ptr().cast_mut().cast();
            header.msg_namelen = self.addresses[index].len();
            header.msg_iov = part;
            header.msg_iovlen = 1;
            let (control, used) = &mut self.controls[index];
            if *used > 0 {
                header.msg_control = control.0.as_mut_ptr().cast();
                header.msg_controllen = *used as _;
            }
            count += 1;
        }
        if self.plain_calls {
            // SAFETY: there is a message from `first` on, so the first header is written.
            let header = unsafe { headers[0].assume_init_ref() };
            return send_one(socket, header).map(|()| 1);
        }
        // SAFETY: the first `count` headers are written and point to addresses, control bytes and payload that live in `self`, in this
        // frame and in `scratch` through the call, with true lengths; the kernel only reads what they point to.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                count as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Sends the segments of one message one by one.
    fn send_plain(&self, index: usize, socket: BorrowedFd<'_>, scratch: &[u8]) -> Outcome {
        let message = &self.messages[index];
        let bytes = &scratch[message.start..message.start + message.len];
        let mut control = Control::EMPTY;
        let (had, used) = &self.controls[index];
        // The segment size stands first in the control bytes: what follows it is kept.
        let cut = cmsg::write(&mut control, message.segment, None, false);
        let mut rest = Control::EMPTY;
        let rest_len = used - cut;
        rest.0[..rest_len].copy_from_slice(&had.0[cut..*used]);
        for packet in bytes.chunks(usize::from(message.segment)) {
            let mut part = iovec {
                iov_base: packet.as_ptr().cast_mut().cast(),
                iov_len: packet.len(),
            };
            // SAFETY: mmsghdr is plain data; null pointers with zero lengths are valid.
            let mut header: mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = self.addresses[index].as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = self.addresses[index].len();
            header.msg_hdr.msg_iov = &raw mut part;
            header.msg_hdr.msg_iovlen = 1;
            if rest_len > 0 {
                header.msg_hdr.msg_control = rest.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = rest_len as _;
            }
            if let Err(error) = send_one(socket, &header) {
                return match error.raw_os_error().unwrap_or(libc::EIO) {
                    libc::EAGAIN | libc::ENOBUFS => Outcome::Blocked,
                    errno => Outcome::Failed(errno),
                };
            }
        }
        Outcome::SentPlain
    }
}

fn send_one(socket: BorrowedFd<'_>, header: &mmsghdr) -> io::Result<()> {
    loop {
        // SAFETY: the caller's header points to memory that lives through the call, with true lengths.
        let sent = unsafe {
            libc::sendmsg(
                socket.as_raw_fd(),
                &raw const header.msg_hdr,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;
    use crate::net::bind_group;

    fn rig() -> (UdpSocket, UdpSocket, Path) {
        let socket = bind_group("127.0.0.1:0".parse().unwrap(), 1)
            .unwrap()
            .remove(0);
        let viewer = UdpSocket::bind("127.0.0.1:0").unwrap();
        viewer
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        let path = Path {
            socket: 0,
            local: None,
            remote: viewer.local_addr().unwrap(),
        };
        (socket, viewer, path)
    }

    fn lengths(viewer: &UdpSocket, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| viewer.recv(&mut [0; 2000]).unwrap())
            .collect()
    }

    #[test]
    fn a_run_of_packets_arrives_cut_at_the_segment_size() {
        let (socket, viewer, path) = rig();
        let scratch = vec![7; 2500];
        let mut batch = SendBatch::default();
        batch.push(&path, 0, 2500, 1000, 1);
        batch.push(&path, 0, 300, 0, 2);
        let mut outcomes = Vec::new();
        batch.flush(socket.as_fd(), &scratch, |tag, outcome| {
            outcomes.push((tag, outcome))
        });
        assert_eq!(outcomes, [(1, Outcome::Sent), (2, Outcome::Sent)]);
        assert_eq!(lengths(&viewer, 4), [1000, 1000, 500, 300]);
        assert!(batch.is_empty());
    }

    #[test]
    fn segments_the_kernel_refuses_go_packet_by_packet() {
        let (socket, viewer, path) = rig();
        // More segments than UDP_MAX_SEGMENTS (64; 128 in newer kernels): EINVAL.
        let scratch = vec![7; 200 * 10];
        let mut batch = SendBatch::default();
        batch.push(&path, 0, 2000, 10, 1);
        let mut outcomes = Vec::new();
        batch.flush(socket.as_fd(), &scratch, |tag, outcome| {
            outcomes.push((tag, outcome))
        });
        assert_eq!(outcomes, [(1, Outcome::SentPlain)]);
        assert_eq!(lengths(&viewer, 200), vec![10; 200]);
    }

    #[test]
    fn one_refused_message_does_not_stop_the_next() {
        let (socket, viewer, path) = rig();
        let scratch = vec![7; 70_000];
        let mut batch = SendBatch::default();
        batch.push(&path, 0, 70_000, 0, 1);
        batch.push(&path, 0, 100, 0, 2);
        let mut outcomes = Vec::new();
        batch.flush(socket.as_fd(), &scratch, |tag, outcome| {
            outcomes.push((tag, outcome))
        });
        assert_eq!(
            outcomes,
            [(1, Outcome::Failed(libc::EMSGSIZE)), (2, Outcome::Sent)]
        );
        assert_eq!(lengths(&viewer, 1), [100]);
    }
}
