#!/bin/sh
# static-library.sh IN.a OUT.a - one object out of rustc's archive, in which only corertc_* is global.
set -eu
in=$1
out=$2
object=${out%.a}.o
renamed=${out%.a}.local.o

# Our exports are the roots; ld then takes from the archive what they need, and --gc-sections drops the rest.
roots=$(nm -g --defined-only "$in" 2>/dev/null | sed -n 's/^[0-9a-f]* T \(corertc_[a-z0-9_]*\)$/--undefined=\1/p' | sort -u)
[ -n "$roots" ] || { echo "static-library.sh: $in exports no corertc_ function" >&2; exit 1; }

# shellcheck disable=SC2086  # one option per root
ld -r --gc-sections --force-group-allocation $roots -o "$object" "$in"
objcopy --wildcard --keep-global-symbol='corertc_*' "$object" "$renamed"
rm -f "$out"
ar rcs "$out" "$renamed"
rm -f "$object" "$renamed"
