//! ADDRESS_RATE_MAX: how many POSTs, PATCHes and DELETEs one client address may send in a minute (P012).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::session::allowance::Allowance;

/// Addresses remembered: a flood from many fills no memory.
const ADDRESSES_MAX: usize = 16_384;
const MINUTE_S: f64 = 60.0;

/// What each address has left.
#[derive(Debug, Default)]
pub struct Rates {
    by_address: Mutex<HashMap<String, Allowance>>,
}

impl Rates {
    /// Whether one more request from `remote_addr` is within `per_minute` (0: no limit). Where a host names no address
    /// there is no limit: it would hold everyone's requests together.
    pub fn allows(&self, remote_addr: &str, per_minute: u32, now: Instant) -> bool {
        if per_minute == 0 || remote_addr.is_empty() {
            return true;
        }
        let mut known = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = client(remote_addr);
        if known.len() >= ADDRESSES_MAX && !known.contains_key(&key) {
            known.retain(|_, left| !left.is_full(per_minute, per_minute, MINUTE_S, now));
            if known.len() >= ADDRESSES_MAX {
                known.clear();
            }
        }
        known
            .entry(key)
            .or_insert_with(|| Allowance::new(per_minute, now))
            .take(per_minute, per_minute, MINUTE_S, now)
    }
}

/// One client: an IPv4 address, or the 64 bits of an IPv6 address that a site is given.
fn client(remote_addr: &str) -> String {
    let ip = remote_addr
        .parse::<SocketAddr>()
        .map(|at| at.ip())
        .or_else(|_| remote_addr.parse::<IpAddr>());
    match ip.map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Err(_) => remote_addr.chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_has_its_share_whatever_its_port_and_gets_it_back() {
        let (rates, now) = (Rates::default(), Instant::now());
        for port in 1..=3 {
            assert!(rates.allows(&format!("192.0.2.1:{port}"), 3, now));
        }
        assert!(!rates.allows("192.0.2.1:4", 3, now));
        assert!(!rates.allows("[::ffff:192.0.2.1]:4", 3, now));
        assert!(rates.allows("192.0.2.2:4", 3, now));
        assert!(rates.allows("192.0.2.1:4", 3, now + Duration::from_secs(20)));
        assert!(!rates.allows("192.0.2.1:4", 3, now + Duration::from_secs(20)));
        for _ in 0..3 {
            assert!(rates.allows("[2001:db8::1]:1", 3, now));
        }
        assert!(!rates.allows("2001:db8::2", 3, now));
        for _ in 0..100 {
            assert!(rates.allows("", 3, now) && rates.allows("192.0.2.1:1", 0, now));
        }
    }

    #[test]
    fn many_addresses_fill_no_memory() {
        let (rates, now) = (Rates::default(), Instant::now());
        for number in 0..(2 * ADDRESSES_MAX as u32) {
            let address = std::net::Ipv4Addr::from(number);
            assert!(rates.allows(&address.to_string(), 3, now));
        }
        let known = rates.by_address.lock().unwrap().len();
        assert!(known <= ADDRESSES_MAX);
    }
}
