//! Control messages and socket options that neither std nor socket2 has: PKTINFO, UDP_SEGMENT, SO_RXQ_OVFL.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, msghdr};

/// Room for one UDP_SEGMENT and one PKTINFO (IPv6: the larger) control message.
pub(super) const CONTROL_BYTES: usize = 96;

/// A control buffer, aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_BYTES]);

impl Control {
    pub(super) const EMPTY: Self = Self([0; CONTROL_BYTES]);
}

/// Received packets carry the address they were sent to.
pub(super) fn report_destination(fd: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Received packets carry the number of packets the full buffer lost so far.
pub(super) fn report_overflow(fd: BorrowedFd<'_>) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// Too large a packet is an error instead of fragments (and GSO and plain sends behave alike).
pub(super) fn never_fragment(fd: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(
            fd,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_PROBE,
        )?;
        // A dual-stack socket sends IPv4 too; an IPv6-only one refuses this, which does no harm.
        let _ = set(
            fd,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        );
        return Ok(());
    }
    set(
        fd,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        libc::IP_PMTUDISC_PROBE,
    )
}

fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: `value` is a c_int that lives through the call, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Writes the control messages of one outgoing message; the bytes used, 0 where there are none.
/// `ipv6` is the socket's family, not the peer's.
pub(super) fn write(
    control: &mut Control,
    segment: u16,
    local: Option<IpAddr>,
    ipv6: bool,
) -> usize {
    let mut used = 0;
    if segment != 0 {
        used += append(
            control,
            used,
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            &segment.to_ne_bytes(),
        );
    }
    match local {
        Some(IpAddr::V4(ip)) if !ipv6 => {
            // in_pktinfo: interface index 0 (any), source address, destination unused.
            let mut info = [0_u8; size_of::<libc::in_pktinfo>()];
            info[4..8].copy_from_slice(&ip.octets());
            used += append(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some(ip) if ipv6 => {
            let octets = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let mut info = [0_u8; size_of::<libc::in6_pktinfo>()];
            info[..16].copy_from_slice(&octets);
            used += append(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        _ => {}
    }
    used
}

/// Appends one control message at `at`; returns the space it takes. The layout is CMSG_DATA's and CMSG_SPACE's.
fn append(control: &mut Control, at: usize, level: c_int, kind: c_int, data: &[u8]) -> usize {
    let header = cmsg_align(size_of::<cmsghdr>());
    let space = header + cmsg_align(data.len());
    let slot = &mut control.0[at..at + space];
    slot.fill(0);
    slot[..size_of::<usize>()].copy_from_slice(&(header + data.len()).to_ne_bytes());
    slot[header - 8..header - 4].copy_from_slice(&level.to_ne_bytes());
    slot[header - 4..header].copy_from_slice(&kind.to_ne_bytes());
    slot[header..header + data.len()].copy_from_slice(data);
    space
}

const fn cmsg_align(len: usize) -> usize {
    len.next_multiple_of(size_of::<usize>())
}

/// What the control messages of a received packet say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The address it was sent to.
    pub(super) local: Option<IpAddr>,
    /// Packets this socket lost so far (32 bits, wraps).
    pub(super) lost: Option<u32>,
}

/// Reads the control messages the kernel left in `header`.
pub(super) fn read(header: &msghdr) -> Received {
    let mut received = Received::default();
    // SAFETY: `header` was filled by recvmmsg over a control buffer that is still alive; the CMSG macros stay inside
    // msg_controllen, and each payload is copied out as bytes of the length checked.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(header);
        while let Some(current) = cmsg.as_ref() {
            let data = libc::CMSG_DATA(cmsg);
            #[allow(clippy::unnecessary_cast, reason = "u32 in musl's headers")]
            let len = (current.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let bytes = std::slice::from_raw_parts(data, len);
            match (current.cmsg_level, current.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => received.local = v4_destination(bytes),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => received.local = v6_destination(bytes),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    received.lost = bytes.first_chunk::<4>().map(|raw| u32::from_ne_bytes(*raw));
                }
                _ => {}
            }
            cmsg = libc::CMSG_NXTHDR(header, cmsg);
        }
    }
    received
}

fn v4_destination(bytes: &[u8]) -> Option<IpAddr> {
    // in_pktinfo { ipi_ifindex, ipi_spec_dst, ipi_addr }: the local address is ipi_spec_dst.
    let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

fn v6_destination(bytes: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}
