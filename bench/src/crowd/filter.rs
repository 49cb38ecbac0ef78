//! Media dropped by the kernel at the viewer's socket, counted there: no reading, no full receive buffer, no lost count.
//!
//! A viewer that read every packet would cost as much as the server under test. A classic socket filter lets STUN, DTLS
//! and RTCP through and of the RTP one packet in `sample`, drawn at random; the rest is dropped and counted by the
//! kernel (`SK_MEMINFO_DROPS`). A segmented (GSO) send is cut into its packets before the filter sees it, so the count is
//! one of packets.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const JUMP_GE: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP_EQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// `SKF_AD_OFF + SKF_AD_RANDOM` of linux/filter.h.
const RANDOM: u32 = (-0x1000_i32 + 56) as u32;
/// Index of the drops in what `SO_MEMINFO` fills.
const DROPS: usize = 8;

/// Attaches the filter; `sample` is rounded up to a power of two, and 1 lets every packet through.
pub fn attach(socket: &impl AsRawFd, sample: u32) -> io::Result<()> {
    let mask = sample.max(1).next_power_of_two() - 1;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The filter sees the UDP header first: the payload begins at 8. The demultiplexing of RFC 7983 and RFC 5761.
    let mut program = [
        step(LOAD_BYTE, 0, 0, 8),
        step(JUMP_GE, 0, 8, 128),
        step(JUMP_GE, 7, 0, 192),
        step(LOAD_BYTE, 0, 0, 9),
        step(AND, 0, 0, 0x7f),
        step(JUMP_GE, 0, 1, 64),
        step(JUMP_GE, 0, 3, 96),
        step(LOAD_WORD, 0, 0, RANDOM),
        step(AND, 0, 0, mask),
        step(JUMP_EQ, 0, 1, 0),
        step(RETURN, 0, 0, 0xffff),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program during the call; both live until it returns.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Datagrams the kernel dropped at this socket so far (wraps at 2^32).
#[must_use]
pub fn drops(socket: RawFd) -> u32 {
    let mut values = [0_u32; 16];
    let mut len = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into the array.
    let outcome = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if outcome == 0 { values[DROPS] } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const UDP_SEGMENT: i32 = 103;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sender
            .connect(receiver.local_addr().expect("bound"))
            .expect("connects");
        receiver.set_nonblocking(true).expect("a socket");
        (sender, receiver)
    }

    #[test]
    fn a_segmented_send_counts_as_its_packets() {
        let (sender, receiver) = pair();
        attach(&receiver, 1 << 31).expect("attaches");
        let segment: i32 = 1000;
        // SAFETY: the option is an int that lives through the call.
        let outcome = unsafe {
            libc::setsockopt(
                sender.as_raw_fd(),
                libc::SOL_UDP,
                UDP_SEGMENT,
                (&raw const segment).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        assert_eq!(outcome, 0);
        let mut packets = vec![0_u8; 13 * 1000 + 500];
        for packet in packets.chunks_mut(1000) {
            packet[..2].copy_from_slice(&[0x80, 96]);
        }
        for _ in 0..50 {
            sender.send(&packets).expect("sends");
        }
        assert_eq!(drops(receiver.as_raw_fd()), 50 * 14);
        assert!(receiver.recv(&mut [0; 2000]).is_err());
    }

    #[test]
    fn signalling_passes_where_media_is_dropped() {
        let (sender, receiver) = pair();
        attach(&receiver, 1 << 31).expect("attaches");
        // A binding request, a DTLS record, a sender report and RTP with a marker and a low payload type.
        for first_two in [[0, 1], [22, 254], [0x80, 200], [0x90, 0x80 | 96], [0x80, 0]] {
            sender
                .send(&[first_two[0], first_two[1], 0, 0])
                .expect("sends");
        }
        let mut buffer = [0; 64];
        let mut passed = Vec::new();
        while let Ok(len) = receiver.recv(&mut buffer) {
            assert_eq!(len, 4);
            passed.push(buffer[0]);
        }
        assert_eq!(passed, [0, 22, 0x80]);
        assert_eq!(drops(receiver.as_raw_fd()), 2);
    }
}
