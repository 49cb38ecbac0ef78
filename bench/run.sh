#!/bin/sh
# Every figure, one program after the other; the numbers as JSON lines in bench/target/figures.json.
# Arguments go to the programs that compare servers: --runs N, --link veth, --contender NAME=PROGRAM.
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR="$PWD/target"
cargo build --release --bins
figures=target/figures.json
: >"$figures"
run() {
    echo
    echo "== $1"
    program=$1
    shift
    "target/release/$program" --json "$figures" "$@" || failed=yes
}
failed=
run send_path "$@"
run memory "$@"
run start_hook
echo
echo "figures: bench/$figures"
test -z "$failed"
