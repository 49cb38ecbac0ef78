#!/bin/sh
# Every figure, one program after the other; the numbers as JSON lines in bench/target/figures.json, the CPU per packet as
# a picture in bench/target/send_path.svg. As root over both kinds of veth pair too, else over loopback alone; with Pion
# where go is there. Arguments go to the programs that compare servers: --runs N, --seconds N, --contender NAME=PROGRAM.
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR="$PWD/target"
cargo build --release --bins
pion=
if command -v go >/dev/null && (cd contenders/pion && go build -o pion .); then
    pion="--contender pion=contenders/pion/pion"
else
    echo "without Pion: go is missing, or could not build it" >&2
fi
links=loopback
if [ "$(id -u)" = 0 ] && command -v ip >/dev/null; then
    links=veth,veth-no-uso,loopback
else
    echo "over loopback alone: a veth pair needs root and ip" >&2
fi
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
# shellcheck disable=SC2086
run send_path --servers corertc,floor,webrtc $pion --link "$links" --viewers 1,10,100 --svg target/send_path.svg "$@"
# shellcheck disable=SC2086
run memory --servers corertc,floor,webrtc $pion "$@"
run start_hook
echo
echo "figures: bench/$figures, bench/target/send_path.svg"
test -z "$failed"
