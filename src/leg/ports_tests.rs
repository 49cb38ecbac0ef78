//! Pairs are adjacent, exclusive, rebindable once closed, and a range is used to its end.

use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A stretch of loopback ports that nothing uses now, outside the OS's own range; never the same twice in a process.
pub(crate) fn free_range(pairs: u16) -> RangeInclusive<u16> {
    const FIRST: u32 = 11_000;
    const STRETCHES: u32 = 300;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test processes side by side begin at different places.
        let stretch = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 37;
        let first = u16::try_from(FIRST + stretch % STRETCHES * 64).unwrap();
        let last = first + pairs * 2 - 1;
        if (first..=last).all(|port| bind(port).unwrap().is_some()) {
            return first..=last;
        }
    }
}

#[test]
fn a_pair_is_even_and_odd_on_loopback_and_closed_in_children() {
    for range in [None, Some(free_range(4))] {
        let pair = Ports::new(range).allocate().unwrap();
        assert_eq!(pair.port % 2, 0);
        for (socket, port) in [(&pair.video, pair.port), (&pair.audio, pair.port + 1)] {
            let addr = socket.local_addr().unwrap();
            assert_eq!(addr, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", socket.as_raw_fd()))
                .unwrap();
            let flags = info
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & libc::O_CLOEXEC, 0);
            assert_ne!(flags & libc::O_NONBLOCK, 0);
        }
    }
}

#[test]
fn the_receive_buffer_is_as_large_as_the_kernel_allows() {
    let pair = Ports::new(None).allocate().unwrap();
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let size = socket2::SockRef::from(&pair.video)
        .recv_buffer_size()
        .unwrap();
    assert!(size >= limit.min(RECEIVE_BUFFER_BYTES));
}

#[test]
fn a_range_gives_every_pair_then_names_itself() {
    let range = free_range(5);
    let ports = Ports::new(Some(range.clone()));
    let pairs: Vec<Pair> = (0..5).map(|_| ports.allocate().unwrap()).collect();
    let distinct: HashSet<u16> = pairs.iter().map(|it| it.port).collect();
    assert_eq!(distinct.len(), 5);
    let error = ports.allocate().unwrap_err();
    assert!(matches!(error, PortsError::RangeFull { .. }));
    let text = error.to_string();
    assert!(text.contains(&range.start().to_string()) && text.contains(&range.end().to_string()));
}

#[test]
fn foreign_sockets_in_the_range_are_stepped_over() {
    let range = free_range(3);
    let (start, end) = (*range.start(), *range.end());
    let _video_taken = bind(start).unwrap().unwrap();
    let _audio_taken = bind(end).unwrap().unwrap();
    let ports = Ports::new(Some(range));
    for _ in 0..20 {
        let pair = ports.allocate().unwrap();
        assert_eq!(pair.port, start + 2);
        drop(pair);
        ports.release(start + 2);
    }
    let pair = ports.allocate().unwrap();
    assert!(ports.allocate().is_err());
    drop(pair);
}

#[test]
fn a_freed_pair_is_the_last_to_be_given_out_again() {
    let ports = Ports::new(Some(free_range(4)));
    let first = ports.allocate().unwrap().port;
    ports.release(first);
    let next: Vec<u16> = (0..4)
        .map(|_| {
            let port = ports.allocate().unwrap().port;
            ports.release(port);
            port
        })
        .collect();
    assert!(!next[..3].contains(&first), "{first} in {next:?}");
    assert_eq!(next[3], first);
}

#[test]
fn odd_and_tiny_ranges_hold_only_whole_pairs() {
    let pairs = |range| Range::new(range).lock().len();
    assert_eq!(pairs(21_001..=21_004), 1);
    assert_eq!(pairs(21_000..=21_000), 0);
    assert_eq!(pairs(21_001..=21_002), 0);
    assert_eq!(pairs(65_534..=65_535), 1);
    assert_eq!(pairs(65_535..=65_535), 0);
    let empty = Ports::new(Some(21_001..=21_002));
    assert!(matches!(
        empty.allocate(),
        Err(PortsError::RangeFull { .. })
    ));
}
