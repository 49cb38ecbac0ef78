//! CPU per DTLS hand-shake (P-256 on both sides) and memory per established connection.
//!
//! `cargo bench --bench handshake`
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Event, Identity, Role};

const HANDSHAKES: usize = 1000;
const GOAL: Duration = Duration::from_millis(1);

/// CPU time of this thread, so that a busy machine does not count.
fn cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory of the process in KiB.
fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u32>();
    kib.unwrap().into()
}

fn fingerprint(identity: &Identity) -> Vec<(String, Vec<u8>)> {
    vec![("sha-256".to_owned(), identity.fingerprint_sha256().to_vec())]
}

/// What one side costs: creation, its datagrams, the keys.
#[derive(Default)]
struct Spent {
    server: Duration,
    client: Duration,
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = cpu();
    let result = work();
    *spent += cpu() - start;
    result
}

fn drain(connection: &mut Connection) -> (Vec<Vec<u8>>, bool) {
    let out = std::iter::from_fn(|| connection.poll_transmit()).collect();
    let event = connection.poll_event();
    (out, matches!(event, Some(Event::Connected(_))))
}

fn handshake(us: &Identity, them: &Identity, spent: &mut Spent) -> [Connection; 2] {
    let now = Instant::now();
    let (ours, theirs) = (fingerprint(us), fingerprint(them));
    let mut server = timed(&mut spent.server, || {
        Connection::new(us, Role::Server, &theirs, now).unwrap()
    });
    let mut client = timed(&mut spent.client, || {
        let mut client = Connection::new(them, Role::Client, &ours, now).unwrap();
        client.handle_timeout(now);
        client
    });
    let (mut server_done, mut client_done) = (false, false);
    while !(server_done && client_done) {
        let (datagrams, done) = timed(&mut spent.client, || drain(&mut client));
        client_done |= done;
        for datagram in datagrams {
            timed(&mut spent.server, || server.feed(&datagram, now));
        }
        let (datagrams, done) = timed(&mut spent.server, || drain(&mut server));
        server_done |= done;
        for datagram in datagrams {
            timed(&mut spent.client, || client.feed(&datagram, now));
        }
    }
    [server, client]
}

fn main() {
    let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    for _ in 0..50 {
        handshake(&us, &them, &mut Spent::default());
    }
    let before = resident_kib();
    let mut spent = Spent::default();
    let kept: Vec<_> = (0..HANDSHAKES)
        .map(|_| handshake(&us, &them, &mut spent))
        .collect();
    let memory = (resident_kib() - before) / (2 * kept.len()) as f64;
    let server = spent.server / HANDSHAKES as u32;
    let client = spent.client / HANDSHAKES as u32;
    println!("server: {server:?} of CPU a hand-shake, client: {client:?}");
    println!("memory: {memory:.1} KiB per established connection");
    assert!(server < GOAL, "{server:?} a hand-shake");
}
