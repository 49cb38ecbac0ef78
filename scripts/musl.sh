#!/bin/sh
# musl.sh - the static library for musl in build/musl/lib, and with it a Go host that is one static file: runs on Alpine
# and on any glibc system. Needs rustup's target x86_64-unknown-linux-musl, Debian's musl-tools, and Go.
set -eu
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl
out=$PWD/build/musl/lib
here=$(rustc --print sysroot)/lib/rustlib/$target/lib/self-contained
[ -d "$here" ] || { echo "musl.sh: rustup target add $target" >&2; exit 1; }
command -v musl-gcc >/dev/null || { echo "musl.sh: apt-get install musl-tools" >&2; exit 1; }

CC_x86_64_unknown_linux_musl=musl-gcc
# CMake wants to see a C++ compiler, and compiles nothing with it.
CXX_x86_64_unknown_linux_musl=g++
# libclang, which reads AWS-LC's headers, looks for neither musl's nor the compiler's own.
BINDGEN_EXTRA_CLANG_ARGS_x86_64_unknown_linux_musl="-isystem /usr/include/x86_64-linux-musl -isystem $(gcc -print-file-name=include)"
export CC_x86_64_unknown_linux_musl CXX_x86_64_unknown_linux_musl BINDGEN_EXTRA_CLANG_ARGS_x86_64_unknown_linux_musl
cargo rustc --locked --lib --profile "${PROFILE:-release}" --target $target --crate-type staticlib
case ${PROFILE:-release} in dev) built=debug ;; *) built=${PROFILE:-release} ;; esac

# Rust's own unwinder goes into the object: musl has none, and its symbols become local like all that is not corertc_*.
mkdir -p "$out/pkgconfig"
scripts/static-library.sh "${CARGO_TARGET_DIR:-target}/$target/$built/libcorertc.a" "$out/libcorertc.a" "$here/libunwind.a"
sed -e "s|@PREFIX@|$PWD/build/musl|" -e "s|@LIBDIR@|$out|" -e "s|@INCLUDEDIR@|$PWD/include|" \
  -e "s|@VERSION@|$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)|" -e 's|@NATIVE@|-lc|' \
  corertc-static.pc.in >"$out/pkgconfig/corertc-static.pc"

cd bindings/go/examples/core
PKG_CONFIG_PATH=$out/pkgconfig CC=musl-gcc CGO_ENABLED=1 \
  go build -tags corertc_static -ldflags "-linkmode external -extldflags -static -X main.library=$(sha256sum "$out/libcorertc.a" | cut -c1-16)" \
  -o "$out/core" .
if ldd "$out/core" >/dev/null 2>&1; then
  echo "musl.sh: it is not static" >&2
  exit 1
fi
echo "$out/core"
