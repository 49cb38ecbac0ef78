#!/bin/sh
# aarch64.sh - the library builds for aarch64 with Debian's cross compiler, and where qemu-aarch64-static is, the C host runs
# there: native viewers see and authenticate its packets. Needs rustup's target aarch64-unknown-linux-gnu, Debian's
# gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu, qemu-user-static.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || { echo "aarch64.sh: rustup target add $target" >&2; exit 1; }
for needed in gcc g++; do
  command -v aarch64-linux-gnu-$needed >/dev/null || { echo "aarch64.sh: apt-get install $needed-aarch64-linux-gnu" >&2; exit 1; }
done
(
  CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  # libclang, which reads AWS-LC's headers, looks for neither the target's nor the compiler's own.
  BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="-isystem /usr/aarch64-linux-gnu/include -isystem $(aarch64-linux-gnu-gcc -print-file-name=include)"
  export CC_aarch64_unknown_linux_gnu CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu
  cargo build --locked --lib --profile "${PROFILE:-release}" --target $target
)
case ${PROFILE:-release} in dev) built=debug ;; *) built=${PROFILE:-release} ;; esac

if ! command -v qemu-aarch64-static >/dev/null; then
  echo "aarch64.sh: apt-get install qemu-user-static" >&2
  [ "${CI-}" != true ] || exit 1
  echo "built and not run" >&2
  exit 0
fi
(cd bench && cargo build --locked --release --bin crowd)
work=$(mktemp -d)
host=
trap '[ -z "$host" ] || kill "$host" 2>/dev/null; rm -rf "$work"' EXIT
cp "${CARGO_TARGET_DIR:-target}/$target/$built/libcorertc.so" "$work/libcorertc.so.1"
ln -s libcorertc.so.1 "$work/libcorertc.so"
aarch64-linux-gnu-gcc -std=c99 -O1 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$work/host" examples-c/host.c \
  examples-c/args.c examples-c/ffmpeg.c examples-c/source.c -L"$work" -lcorertc -pthread
qemu-aarch64-static -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$work" "$work/host" --id cam --listen 127.0.0.1:0 \
  --public-ip 127.0.0.1 >"$work/out" 2>"$work/err" &
host=$!
tries=0
until grep -q '^ready ' "$work/out"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 600 ] || ! kill -0 "$host" 2>/dev/null; then
    cat "$work/err" >&2
    echo "aarch64.sh: the host did not get ready" >&2
    exit 1
  fi
  sleep 0.1
done
"${BENCH_TARGET_DIR:-bench/target}/release/crowd" "$(sed -n 's/^ready //p' "$work/out")whep/cam" --viewers 4 --sample 1 --seconds 5 | tee "$work/seen"
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$work/seen"; }
if [ "$(number still_connected)" != 4 ] || [ "$(number authentic)" -lt 1000 ] || [ "$(number authentic)" != "$(number read)" ]; then
  cat "$work/err" >&2
  echo "aarch64.sh: its viewers did not see what they should" >&2
  exit 1
fi
kill -TERM "$host"
wait "$host" || { echo "aarch64.sh: the host ended with status $?" >&2; exit 1; }
host=
