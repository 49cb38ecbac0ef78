#!/bin/sh
# static-library.sh IN.a OUT.a [MORE.a...] - one object out of rustc's archive, in which only corertc_* is global. What it
# needs of MORE goes in, too.
set -eu
in=$1
out=$2
shift 2
object=${out%.a}.o
renamed=${out%.a}.local.o

# Our exports are the roots; ld then takes from the archive what they need, and --gc-sections drops the rest.
# readelf, not nm: nm hands every member to the LTO plugins it finds, and an old LLVM's dies of Rust's bitcode.
roots=$(readelf -sW "$in" | awk '$4 == "FUNC" && $5 == "GLOBAL" && $7 != "UND" && $8 ~ /^corertc_/ { print "--undefined=" $8 }' | sort -u)
[ -n "$roots" ] || { echo "static-library.sh: $in exports no corertc_ function" >&2; exit 1; }

# COMDAT groups become plain sections (--force-group-allocation): a group whose name is local now would still be merged
# with a stranger's of the same name. The bitcode goes (.llvmbc), for the reason above,
# and so does what a debugger would read: it is most of the archive.
# shellcheck disable=SC2086  # one option per root
ld -r --gc-sections --force-group-allocation $roots -o "$object" "$in" "$@"
objcopy --strip-debug --wildcard --keep-global-symbol='corertc_*' --remove-section=.llvmbc --remove-section=.llvmcmd \
  "$object" "$renamed"
rm -f "$out"
ar rcs "$out" "$renamed"
rm -f "$object" "$renamed"
