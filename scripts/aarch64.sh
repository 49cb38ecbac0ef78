#!/bin/sh
# aarch64.sh - the library builds for aarch64 with Debian's cross compiler. It is not run: that takes such a machine.
# Needs rustup's target aarch64-unknown-linux-gnu, Debian's gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || { echo "aarch64.sh: rustup target add $target" >&2; exit 1; }
for needed in gcc g++; do
  command -v aarch64-linux-gnu-$needed >/dev/null || { echo "aarch64.sh: apt-get install $needed-aarch64-linux-gnu" >&2; exit 1; }
done
CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# libclang, which reads AWS-LC's headers, looks for neither the target's nor the compiler's own.
BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="-isystem /usr/aarch64-linux-gnu/include -isystem $(aarch64-linux-gnu-gcc -print-file-name=include)"
export CC_aarch64_unknown_linux_gnu CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu
cargo build --locked --lib --profile "${PROFILE:-release}" --target $target
