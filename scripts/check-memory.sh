#!/bin/sh
# check-memory.sh - the C host under valgrind and under gcc's sanitizers: starts, serves, answers, ends with status 0.
set -eu
cd "$(dirname "$0")/.."
make -s build

work=$(mktemp -d)
host=
trap '[ -z "$host" ] || kill "$host" 2>/dev/null; rm -rf "$work"' EXIT

# serve NAME COMMAND... - runs the host until the stream answers, asks it a few things, ends it.
serve() {
  name=$1
  shift
  "$@" --id cam --listen 127.0.0.1:0 >"$work/$name.out" 2>"$work/$name.err" &
  host=$!
  tries=0
  until grep -q '^ready ' "$work/$name.out"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$host" 2>/dev/null; then
      cat "$work/$name.err" >&2
      echo "$name: the host did not get ready" >&2
      exit 1
    fi
    sleep 0.1
  done
  url=$(sed -n 's/^ready //p' "$work/$name.out")
  for path in healthz metrics play/cam whep/nobody ''; do
    curl -s -m 60 -o /dev/null "$url$path" || { echo "$name: no answer to /$path" >&2; exit 1; }
  done
  kill -TERM "$host"
  if wait "$host"; then
    host=
    echo "$name: clean"
  else
    status=$?
    host=
    cat "$work/$name.err" >&2
    echo "$name: status $status" >&2
    exit 1
  fi
}

serve valgrind valgrind -q --error-exitcode=99 --child-silent-after-fork=yes --leak-check=full \
  --errors-for-leak-kinds=definite --show-leak-kinds=definite examples-c/host

PKG_CONFIG_PATH=$PWD/build/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # words
cc -std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Wall -Wextra -Wpedantic -Werror \
  -o "$work/host" examples-c/host.c examples-c/args.c examples-c/ffmpeg.c examples-c/source.c \
  $(pkg-config --cflags --libs corertc)
serve sanitizers "$work/host"
