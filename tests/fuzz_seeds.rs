//! Every seed of the fuzz targets, and every input that once was a fault, goes through what its target does.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../fuzz/src/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;

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
