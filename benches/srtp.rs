//! Nanoseconds per sealed 1200-byte packet, for each SRTP profile and for the bare cryptography under it; what a
//! viewer's keys cost in time and memory. `cargo bench --bench srtp`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people"
)]

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use corertc::peer::srtp::{Inbound, Keys, Outbound, Profile};

const PAYLOAD_LEN: usize = 1200;
const PACKETS: u64 = 100_000;
const ROUNDS: usize = 9;
const VIEWERS: u64 = 1000;

const PROFILES: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmHmacSha1_80,
];

fn main() {
    println!("ns per packet of {PAYLOAD_LEN} bytes, best and median of {ROUNDS} rounds");
    let payload = [0x5a; PAYLOAD_LEN];
    let header = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    for profile in PROFILES {
        bare(profile, &header, &payload);

        let outbound = Outbound::new(&keys(profile, 0)).unwrap();
        let mut slab = vec![0; 1500];
        report(&format!("{profile:?} seal_rtp_into"), PACKETS, || {
            for index in 0..PACKETS {
                black_box(outbound.seal_rtp_into(&header, &payload, index, &mut slab));
            }
        });
        let mut out = Vec::with_capacity(1500);
        report(&format!("{profile:?} seal_rtp"), PACKETS, || {
            for index in 0..PACKETS {
                out.clear();
                outbound.seal_rtp(&header, &payload, index, &mut out);
                black_box(&out);
            }
        });
        many_viewers(profile, &header, &payload);
        receive(profile, &header, &payload);
        viewer(profile);
    }
}

/// The cryptography without SRTP around it.
fn bare(profile: Profile, header: &[u8], payload: &[u8]) {
    let mut out = vec![0; 1500];
    let name = format!("{profile:?} bare aws-lc-rs");
    if profile == Profile::Aes128CmHmacSha1_80 {
        let key = UnboundCipherKey::new(&AES_128, &[7; 16]).unwrap();
        let key = EncryptingKey::ctr(key).unwrap();
        let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[7; 20]);
        report(&name, PACKETS, || {
            for index in 0..PACKETS {
                let iv = u128::from(index << 16).to_be_bytes();
                let body = &mut out[..PAYLOAD_LEN];
                key.less_safe_encrypt(body, EncryptionContext::Iv128(iv.into()))
                    .unwrap();
                black_box(hmac::sign(&auth, body));
            }
        });
        return;
    }
    let algorithm = match profile {
        Profile::AeadAes256Gcm => &AES_256_GCM,
        _ => &AES_128_GCM,
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &[7; 32][..profile.key_len()]).unwrap());
    report(&name, PACKETS, || {
        for index in 0..PACKETS {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&index.to_be_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let (body, tag) = out.split_at_mut(PAYLOAD_LEN);
            key.seal_out_of_place_scatter(
                nonce,
                Aad::from(header),
                payload,
                body,
                &[],
                &mut tag[..16],
            )
            .unwrap();
            black_box(&out);
        }
    });
}

/// One packet to each of many viewers in turn: keys out of the caches.
fn many_viewers(profile: Profile, header: &[u8], payload: &[u8]) {
    let viewers: Vec<_> = (0..VIEWERS)
        .map(|i| Outbound::new(&keys(profile, i)).unwrap())
        .collect();
    let mut slab = vec![0; 1500];
    let name = format!("{profile:?} seal_rtp_into, {VIEWERS} viewers in turn");
    report(&name, PACKETS / VIEWERS * VIEWERS, || {
        for index in 0..PACKETS / VIEWERS {
            for viewer in &viewers {
                black_box(viewer.seal_rtp_into(header, payload, index, &mut slab));
            }
        }
    });
}

fn receive(profile: Profile, header: &[u8], payload: &[u8]) {
    let outbound = Outbound::new(&keys(profile, 0)).unwrap();
    let mut inbound = Inbound::new(&keys(profile, 0)).unwrap();
    let count = 30_000;
    let mut next = 0_u64;
    let mut batches = (0..ROUNDS + 1).map(|_| {
        let batch: Vec<_> = (next..next + count)
            .map(|index| {
                let mut header = header.to_vec();
                header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                let mut out = Vec::new();
                outbound.seal_rtp(&header, payload, index, &mut out);
                out
            })
            .collect();
        next += count;
        batch
    });
    let mut samples = Vec::new();
    for mut batch in &mut batches {
        let start = Instant::now();
        for packet in &mut batch {
            inbound.open_rtp(packet).unwrap();
        }
        samples.push(start.elapsed().as_nanos() as f64 / count as f64);
    }
    print_samples(&format!("{profile:?} open_rtp"), samples);
}

/// Memory by the process's resident set: the C side's allocations are not Rust's.
fn viewer(profile: Profile) {
    let count = 20_000_u64;
    let mut viewers = Vec::with_capacity(count as usize);
    let (before, start) = (resident_bytes(), Instant::now());
    for i in 0..count {
        let keys = keys(profile, i);
        viewers.push((Outbound::new(&keys).unwrap(), Inbound::new(&keys).unwrap()));
    }
    let ns = start.elapsed().as_nanos() as f64 / count as f64;
    let bytes = (resident_bytes() - before) / count;
    println!(
        "{:54} {ns:8.0} ns, {bytes} bytes (inline {} + {})",
        format!("{profile:?} keys of a viewer"),
        size_of::<Outbound>(),
        size_of::<Inbound>(),
    );
    black_box(viewers);
}

fn keys(profile: Profile, seed: u64) -> Keys {
    let mut key = vec![0x11; profile.key_len()];
    key[..8].copy_from_slice(&seed.to_be_bytes());
    Keys {
        profile,
        local_key: key.clone(),
        local_salt: vec![0x22; profile.salt_len()],
        remote_key: key,
        remote_salt: vec![0x22; profile.salt_len()],
    }
}

fn report(name: &str, count: u64, mut run: impl FnMut()) {
    run();
    let samples = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / count as f64
    });
    print_samples(name, samples.collect());
}

fn print_samples(name: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    println!(
        "{name:54} {:8.0} {:8.0}",
        samples[0],
        samples[samples.len() / 2]
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}
