//! The addresses of this machine's interfaces, for host candidates.
#![allow(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Every address a viewer could reach: IPv4 first, loopback last; link-local ones left out.
#[must_use]
pub fn interface_addresses() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: getifaddrs fills `list` or fails; the list is freed once below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return addresses;
    }
    let mut next = list;
    // SAFETY: `next` walks the list getifaddrs made, which stays valid until freeifaddrs; ifa_addr may be null.
    while let Some(entry) = unsafe { next.as_ref() } {
        if entry.ifa_flags & libc::IFF_UP as u32 != 0 {
            addresses.extend(address(entry));
        }
        next = entry.ifa_next;
    }
    // SAFETY: made by getifaddrs, freed once, not used afterwards.
    unsafe { libc::freeifaddrs(list) };
    addresses.retain(|ip| !link_local(*ip));
    addresses.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    addresses.dedup();
    addresses
}

fn address(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: ifa_addr is null or points to a sockaddr of the family it names; unaligned reads copy it.
    unsafe {
        let family = i32::from(entry.ifa_addr.as_ref()?.sa_family);
        match family {
            libc::AF_INET => {
                let v4 = entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_comes_last() {
        let addresses = interface_addresses();
        assert!(addresses.contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(addresses.last().is_some_and(IpAddr::is_loopback));
        let first_loopback = addresses.iter().position(IpAddr::is_loopback).unwrap();
        assert!(addresses[first_loopback..].iter().all(IpAddr::is_loopback));
    }
}
