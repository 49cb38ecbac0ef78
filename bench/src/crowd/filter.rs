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
