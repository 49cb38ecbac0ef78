#!/bin/sh
# asan.sh - the C host with the library under nightly Rust's AddressSanitizer, leaks included: viewers join, watch and leave,
# others watch until the host ends. The C code inside is not instrumented, but all that it allocates is watched. The
# protocol code alone is run under it by `make fuzz`.
set -eu
cd "$(dirname "$0")/.."
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
(cd bench && cargo build --locked --release --bin crowd)
target=$(rustc -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-target}/asan
RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$built \
  cargo +nightly rustc --locked --lib --target "$target" --crate-type staticlib
runtime=$(rustc +nightly --print sysroot)/lib/rustlib/$target/lib/librustc-nightly_rt.asan.a

work=$(mktemp -d)
host=
trap '[ -z "$host" ] || kill "$host" 2>/dev/null; rm -rf "$work"' EXIT
cc -std=c99 -g -O1 -Wall -Wextra -Wpedantic -Werror -Iinclude -o "$work/host" examples-c/host.c examples-c/args.c \
  examples-c/ffmpeg.c examples-c/source.c "$built/$target/debug/libcorertc.a" \
  -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive -pthread -lgcc_s -lutil -lrt -lm -ldl -lstdc++
"$work/host" --id cam --listen 127.0.0.1:0 --public-ip 127.0.0.1 >"$work/out" 2>"$work/err" &
host=$!
tries=0
until grep -q '^ready ' "$work/out"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 600 ] || ! kill -0 "$host" 2>/dev/null; then
    cat "$work/err" >&2
    echo "asan.sh: the host did not get ready" >&2
    exit 1
  fi
  sleep 0.1
done
url=$(sed -n 's/^ready //p' "$work/out")
crowd=${BENCH_TARGET_DIR:-bench/target}/release/crowd
for path in healthz metrics play/cam whep/nobody ''; do
  curl -s -m 60 -o /dev/null "$url$path" || { echo "asan.sh: no answer to /$path" >&2; exit 1; }
done
"$crowd" "${url}whep/cam" --viewers 40 --sample 1 --seconds 5 | tee "$work/seen"
grep -q '"still_connected":40' "$work/seen" || { cat "$work/err" >&2; echo "asan.sh: viewers were lost" >&2; exit 1; }
"$crowd" "${url}whep/cam" --viewers 200 --seconds 60 >"$work/told" 2>&1 &
there=$!
tries=0
until curl -s -m 60 "${url}metrics" | grep -q '^corertc_viewers 200$'; do
  tries=$((tries + 1))
  [ "$tries" -le 300 ] || { cat "$work/err" >&2; echo "asan.sh: the viewers did not come" >&2; exit 1; }
  sleep 0.2
done
kill -TERM "$host"
status=0
wait "$host" || status=$?
host=
kill "$there" 2>/dev/null || true
if [ "$status" != 0 ] || grep -q 'Sanitizer' "$work/err"; then
  cat "$work/err" >&2
  echo "asan.sh: status $status" >&2
  exit 1
fi
echo "asan: clean"
