//! Every seed of the fuzz targets, and every input that once was a fault, goes through what its target does.
#![allow(
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used
)]

#[path = "../fuzz/src/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 8] = [
    ("sdp_offer", bodies::sdp_offer),
    ("trickle_fragment", bodies::trickle_fragment),
    ("stun", bodies::stun),
    ("rtp", bodies::rtp),
    ("rtcp", bodies::rtcp),
    ("dtls", bodies::dtls),
    ("http", bodies::http),
    ("srtp", bodies::srtp),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_seed_passes_whole_and_cut_short() {
    for (target, body) in TARGETS {
        let seeds = names(&format!("seeds/{target}"));
        assert!(!seeds.is_empty(), "{target}");
        for seed in seeds {
            let bytes = fs::read(root().join("seeds").join(target).join(&seed)).unwrap();
            assert!(bytes.len() <= 16 << 10, "{target}/{seed} is no small file");
            body(&bytes);
            let step = bytes.len() / 16 + 1;
            for len in (0..bytes.len()).step_by(step) {
                body(&bytes[..len]);
            }
        }
    }
}

/// Without a nightly toolchain and without guidance by coverage, yet every time: seeds changed at random, the same ones
/// in each run. FUZZ_SECONDS: for so long for each target, instead of a fraction of a second.
#[test]
fn mutated_seeds_pass() {
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let time = seconds.map_or(Duration::from_millis(400), Duration::from_secs);
    for (target, body) in TARGETS {
        let seeds: Vec<_> = names(&format!("seeds/{target}"))
            .iter()
            .map(|seed| fs::read(root().join("seeds").join(target).join(seed)).unwrap())
            .collect();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let end = Instant::now() + time;
        let mut count = 0;
        while Instant::now() < end {
            let bytes = mutated(&seeds, &mut dice);
            let passed = std::panic::catch_unwind(|| body(&bytes));
            assert!(
                passed.is_ok(),
                "{target}: input {count}: {}",
                escaped(&bytes)
            );
            count += 1;
        }
    }
}

/// For a file: `printf '…' > fuzz/seeds/…`.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// xorshift64*
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let len = dice.below(24).min(bytes.len() - at);
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'\n'][dice.below(6)],
            2 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + len)),
            5 => {
                // A part once more, somewhere else.
                let part = bytes[at..at + len].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            _ => {
                // The end of another one.
                let other = &seeds[dice.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend(&other[dice.below(other.len() + 1)..]);
            }
        }
    }
    bytes.truncate(8192);
    bytes
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    assert_eq!(names("seeds"), known);
    let programs: Vec<_> = known.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names("fuzz_targets"), programs);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for program in programs {
        assert!(manifest.contains(&format!("fuzz_targets/{program}")));
    }
}
