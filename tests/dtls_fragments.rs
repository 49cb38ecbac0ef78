//! Floods of hand-shake fragments: anyone who can POST an offer can send them, and a stack overflow or an
//! unbounded heap would take the host down. What is genuine must still get through.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Event, Identity, Role};

const FRAGMENTS: u32 = 5000;
/// Connections flooded at once, so that a leak or an unbounded buffer shows in the process's size.
const VICTIMS: usize = 64;
/// Seven messages of 16 KiB and their bit maps are the most that libssl reassembles.
const BOUND_PER_VICTIM_KIB: u64 = 160;

/// A handshake fragment in a record of its own (RFC 6347 §4.1, §4.2.2).
#[derive(Clone, Copy)]
struct Fragment {
    epoch: u16,
    kind: u8,
    message: u16,
    announced: u32,
    offset: u32,
    length: u32,
}

impl Fragment {
    /// Of a ClientHello that stays incomplete.
    fn of_client_hello(offset: u32, length: u32) -> Self {
        Self {
            epoch: 0,
            kind: 1,
            message: 0,
            announced: 16_384,
            offset,
            length,
        }
    }

    fn record(self, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut handshake = vec![self.kind];
        handshake.extend(&self.announced.to_be_bytes()[1..]);
        handshake.extend(self.message.to_be_bytes());
        handshake.extend(&self.offset.to_be_bytes()[1..]);
        handshake.extend(&self.length.to_be_bytes()[1..]);
        handshake.extend(body);
        let mut record = vec![22, 0xfe, 0xfd];
        record.extend(self.epoch.to_be_bytes());
        record.extend([0, 0]);
        record.extend(sequence.to_be_bytes());
        record.extend((handshake.len() as u16).to_be_bytes());
        record.extend(handshake);
        record
    }
}

/// A small generator: the floods are the same in every run.
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// The i-th fragment of a flood.
type Flood = fn(u32, &mut u32) -> Fragment;

const FLOODS: [(&str, Flood); 7] = [
    ("in order", |i, _| Fragment::of_client_hello(i * 3, 3)),
    ("reversed", |i, _| {
        Fragment::of_client_hello((FRAGMENTS - i) * 3, 3)
    }),
    ("overlapping", |i, _| Fragment::of_client_hello(i, 20)),
    ("single bytes with gaps", |i, _| {
        Fragment::of_client_hello(i * 2, 1)
    }),
    ("every message of a flight", |i, _| Fragment {
        message: (i % 20) as u16,
        ..Fragment::of_client_hello(i, 1)
    }),
    ("announced up to 16 MiB", |i, state| Fragment {
        announced: random(state) & 0x00ff_ffff,
        message: (i % 7) as u16,
        ..Fragment::of_client_hello(0, 1)
    }),
    ("random epochs", |i, state| Fragment {
        epoch: random(state) as u16,
        ..Fragment::of_client_hello(i, 2)
    }),
];

/// Writable private memory of the process: counts what is allocated, touched or not.
fn data_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmData:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn fingerprint(identity: &Identity) -> Vec<(String, Vec<u8>)> {
    vec![("sha-256".to_owned(), identity.fingerprint_sha256().to_vec())]
}

fn connection(us: &Identity, role: Role, them: &Identity, now: Instant) -> Connection {
    Connection::new(us, role, &fingerprint(them), now).unwrap()
}

fn connected(connection: &mut Connection) -> bool {
    matches!(connection.poll_event(), Some(Event::Connected(_)))
}

/// A genuine hand-shake; what the client sends passes through `recut`.
fn handshake(mut recut: impl FnMut(Vec<u8>) -> Vec<Vec<u8>>) -> bool {
    let identities = [Identity::generate().unwrap(), Identity::generate().unwrap()];
    let now = Instant::now();
    let mut server = connection(&identities[0], Role::Server, &identities[1], now);
    let mut client = connection(&identities[1], Role::Client, &identities[0], now);
    client.handle_timeout(now);
    for _ in 0..4 {
        while let Some(datagram) = client.poll_transmit() {
            recut(datagram)
                .iter()
                .for_each(|piece| server.feed(piece, now));
        }
        while let Some(datagram) = server.poll_transmit() {
            client.feed(&datagram, now);
        }
    }
    connected(&mut server) && connected(&mut client)
}

#[test]
fn floods_of_fragments_end_with_bounded_memory_and_hurt_nobody_else() {
    let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    for (name, flood) in FLOODS {
        for role in [Role::Server, Role::Client] {
            let now = Instant::now();
            let before = data_kib();
            let mut victims: Vec<_> = (0..VICTIMS)
                .map(|_| connection(&us, role, &them, now))
                .collect();
            for victim in &mut victims {
                victim.handle_timeout(now);
                let mut state = 0x9e37_79b9;
                for i in 0..FRAGMENTS {
                    let mut fragment = flood(i, &mut state);
                    // What the role waits for: ClientHello or ServerHello.
                    fragment.kind = if role == Role::Server { 1 } else { 2 };
                    let body = vec![0x41; fragment.length as usize];
                    victim.feed(&fragment.record(i, &body), now);
                }
            }
            let grown = data_kib().saturating_sub(before);
            let fed = (FRAGMENTS as usize * VICTIMS) as u32;
            eprintln!(
                "{name}, {role:?}: {:?} a datagram, {grown} KiB for {VICTIMS}",
                now.elapsed() / fed
            );
            assert!(
                grown <= BOUND_PER_VICTIM_KIB * VICTIMS as u64,
                "{name}, {role:?}: {grown} KiB"
            );
            for victim in &mut victims {
                victim.handle_timeout(now + Duration::from_secs(1));
                assert!(!connected(victim), "{name}");
            }
            assert!(handshake(|datagram| vec![datagram]), "after {name}");
        }
    }
}

#[test]
fn many_fragments_in_one_datagram_are_survived() {
    let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let now = Instant::now();
    let mut victim = connection(&us, Role::Server, &them, now);
    for datagram in 0..200 {
        let mut records = Vec::new();
        while records.len() < 60_000 {
            let sequence = datagram * 3000 + (records.len() / 26) as u32;
            let fragment = Fragment::of_client_hello(sequence % 16_000, 1);
            records.extend(fragment.record(sequence, &[0x41]));
        }
        victim.feed(&records, now);
    }
    assert!(!connected(&mut victim));
    assert!(handshake(|datagram| vec![datagram]));
}

/// Cuts the plaintext handshake messages of a datagram into pieces of `size` that start every `step` bytes.
fn recut(datagram: &[u8], size: usize, step: usize, sequence: &mut u32) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = datagram;
    while rest.len() >= 13 {
        let length = 13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        let (record, after) = rest.split_at(length);
        rest = after;
        let plaintext = record[3..5] == [0, 0];
        if !plaintext || record[0] != 22 {
            let mut record = record.to_vec();
            if plaintext {
                record[7..11].copy_from_slice(&sequence.to_be_bytes());
                *sequence += 1;
            }
            pieces.push(record);
            continue;
        }
        let body = &record[13 + 12..];
        for offset in (0..body.len()).step_by(step).rev() {
            let piece = &body[offset..body.len().min(offset + size)];
            let fragment = Fragment {
                epoch: 0,
                kind: record[13],
                message: u16::from_be_bytes([record[17], record[18]]),
                announced: body.len() as u32,
                offset: offset as u32,
                length: piece.len() as u32,
            };
            pieces.push(fragment.record(*sequence, piece));
            *sequence += 1;
        }
    }
    pieces
}

#[test]
fn a_hand_shake_in_small_overlapping_pieces_connects_as_gstreamer_sends_it() {
    for (size, step) in [(230, 230), (230, 100), (64, 17), (1, 1)] {
        let mut sequence = 0;
        let done = handshake(|datagram| recut(&datagram, size, step, &mut sequence));
        assert!(done, "pieces of {size} every {step}");
    }
}
