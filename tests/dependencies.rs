//! Reads the dependency tree: what the shared library links is what was decided, and no more.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn what_ships_has_one_crypto_library_and_no_openssl() {
    const FOREIGN: &[&str] = &[
        "openssl",
        "openssl-sys",
        "native-tls",
        "ring",
        "boring",
        "boring-sys",
        "mbedtls",
        "wolfssl-sys",
        "libsodium-sys",
        "aes",
        "aes-gcm",
        "chacha20poly1305",
        "hmac",
        "sha1",
        "sha2",
        "p256",
        "rsa",
        "x25519-dalek",
        "ed25519-dalek",
        "graviola",
    ];
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        names.contains("aws-lc-sys"),
        "the tree was not read: {tree}"
    );
    let found: Vec<_> = FOREIGN
        .iter()
        .filter(|name| names.contains(*name))
        .collect();
    assert!(found.is_empty(), "shipped besides aws-lc: {found:?}");
}
