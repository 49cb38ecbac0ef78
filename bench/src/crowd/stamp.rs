//! When a packet was sent and when the kernel had it at the receiver's socket: a mark at the packet's end, and SO_TIMESTAMPNS.
//! The receiver's own wake-up isn't part of what lies between them.

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{SystemTime, UNIX_EPOCH};

const MARK: [u8; 8] = *b"benched\xa7";
/// Bytes of a mark.
pub const LEN: usize = 16;

/// The kernel's wall clock, in nanoseconds.
#[must_use]
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Writes the time over the last bytes of a packet.
pub fn mark(packet: &mut [u8], at_ns: u64) {
    if let Some(end) = packet.len().checked_sub(LEN) {
        packet[end..end + 8].copy_from_slice(&MARK);
        packet[end + 8..].copy_from_slice(&at_ns.to_be_bytes());
    }
}

/// When a marked packet was sent; None for one without a mark.
#[must_use]
pub fn sent_ns(packet: &[u8]) -> Option<u64> {
    let (rest, at) = packet.split_last_chunk::<8>()?;
    (rest.last_chunk::<8>()? == &MARK).then(|| u64::from_be_bytes(*at))
}

/// From now on the kernel notes when a datagram came.
pub fn enable(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option is an int that lives through the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// One datagram without waiting, and when it came; 0 where the socket doesn't note it.
pub fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, u64)> {
    let mut control = [MaybeUninit::<u64>::uninit(); 8];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: zeroes are a valid msghdr; its pointers are to locals that outlive the call, with their true lengths. The
    // kernel's control messages are walked with its own macros, and a timespec is read where its type says there is one.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let len = libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT);
        if len < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        let mut at = 0;
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_TIMESTAMPNS {
                let time: libc::timespec = libc::CMSG_DATA(header)
                    .cast::<libc::timespec>()
                    .read_unaligned();
                at = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        Ok((len as usize, at))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_kernel_says_when_a_marked_packet_came() {
        let (sender, receiver) = (
            UdpSocket::bind("127.0.0.1:0"),
            UdpSocket::bind("127.0.0.1:0"),
        );
        let (sender, receiver) = (sender.expect("a socket"), receiver.expect("a socket"));
        enable(&receiver).expect("stamps");
        let mut packet = [0; 40];
        let before = now_ns();
        mark(&mut packet, before);
        let to = receiver.local_addr().expect("bound");
        sender.send_to(&packet, to).expect("sends");
        let mut buffer = [0; 64];
        let (len, came) = receive(receiver.as_raw_fd(), &mut buffer).expect("receives");
        assert_eq!(sent_ns(&buffer[..len]), Some(before));
        assert!((before..=now_ns()).contains(&came), "{before} {came}");
        assert_eq!(sent_ns(&[0; 64]), None);
        assert_eq!(sent_ns(&[0; 3]), None);
    }
}
