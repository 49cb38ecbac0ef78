#!/bin/sh
# demo.sh [host's options...] - the C host on the built-in test picture; says where to look, ends with Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
exec examples-c/host --id demo --listen 127.0.0.1:8080 --gop 1 "$@"
