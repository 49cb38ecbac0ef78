#!/bin/sh
# Every figure, one program after the other; the numbers as JSON lines in target/figures.json (or $1).
set -eu
cd "$(dirname "$0")"
figures=${1:-target/figures.json}
export CARGO_TARGET_DIR="$PWD/target"
cargo build --release --bins
: >"$figures"
for program in send_path memory start_hook; do
    echo
    echo "== $program"
    "target/release/$program" --json "$figures"
done
echo
echo "figures: bench/$figures"
