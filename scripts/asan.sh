#!/bin/sh
# asan.sh - the library's own tests and those that attack it, under nightly Rust's AddressSanitizer, leaks included. The C
# code inside is not instrumented, but all that it allocates is watched.
set -eu
cd "$(dirname "$0")/.."
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
target=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/asan
RUSTFLAGS=-Zsanitizer=address
export CARGO_TARGET_DIR RUSTFLAGS
cargo +nightly test --locked --target "$target" --lib --test abi_contract --test close_under_load --test dtls_fragments \
  --test fuzz_seeds --test hostile_http --test hostile_media --test soak
