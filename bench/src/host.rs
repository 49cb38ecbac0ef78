//! What the kernel knows about this process: CPU, memory, descriptors; and where it may run.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// User and system time of the whole process, in microseconds.
#[must_use]
pub fn cpu_us() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage fills the struct it is given; RUSAGE_SELF can't fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}

/// Resident memory in KiB.
#[must_use]
pub fn rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Bytes the allocator has given out and not got back.
#[must_use]
pub fn heap_bytes() -> u64 {
    // SAFETY: mallinfo2 takes nothing and returns a plain struct.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Open file descriptors, the one that reads the list left out.
#[must_use]
pub fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |list| list.count().saturating_sub(1))
}

/// Cores this process may run on.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps the whole process on one core. Called before any thread starts: threads inherit it.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain bits, CPU_SET writes inside it for any core below CPU_SETSIZE (checked).
    let outcome = unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        if core >= libc::CPU_SETSIZE as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Raises the limit of open descriptors to what the system lets us have: a crowd holds one socket per viewer.
pub fn raise_fd_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls only touch the struct passed.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Asks for a receive buffer of 4 MiB, past the system's limit where we may: the default holds 92 packets.
pub fn grow_receive_buffer(socket: &impl AsRawFd) {
    grow(socket, [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF]);
}

/// Asks for a send buffer of 4 MiB, past the system's limit where we may.
pub fn grow_send_buffer(socket: &impl AsRawFd) {
    grow(socket, [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF]);
}

fn grow(socket: &impl AsRawFd, options: [libc::c_int; 2]) {
    let bytes: libc::c_int = 4 << 20;
    for option in options {
        // SAFETY: the option is an int that lives through the call.
        let outcome = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if outcome == 0 {
            return;
        }
    }
}
