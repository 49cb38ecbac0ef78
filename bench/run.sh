#!/bin/sh
# Every figure, one program after the other; the numbers as JSON lines in bench/target/figures.json, the CPU per packet as
# a picture in bench/target/send_path.svg and docs/send_path.svg, where the README shows it. As root over both kinds of veth
# pair too, else over loopback alone; with Pion where go is there; a browser where chromedriver and FFmpeg are there, beside
# MediaMTX where MEDIAMTX names its program. Arguments go to the programs that compare servers: --runs N, --seconds N,
# --contender NAME=PROGRAM. ONLY="ingest browser_compare" runs some of the programs, in this order, and adds to the figures.
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
only=${ONLY:-}
test -n "$only" || : >"$figures"
run() {
    case " ${only:-$1} " in
        *" $1 "*) ;;
        *) return 0 ;;
    esac
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
# shellcheck disable=SC2086
run ingest --servers corertc-udp,corertc-rtsp,corertc-direct,webrtc-whip $pion --publishers 1,10 "$@"
if command -v chromedriver >/dev/null && command -v ffmpeg >/dev/null; then
    run browser_compare --mediamtx "${MEDIAMTX:-}" "$@"
else
    echo "without a browser: chromedriver or ffmpeg is missing" >&2
fi
echo
echo "figures: bench/$figures"
if [ -s target/send_path.svg ]; then
    # Not one of a run that was cut short.
    test -n "$failed" || cp target/send_path.svg ../docs/send_path.svg
    echo "picture: docs/send_path.svg"
fi
test -z "$failed"
