#!/bin/sh
# install-missing.sh package=command... - installs each Debian package whose command (or, after a bare `=`, the package
# itself) is missing. Does nothing, and needs no root, where all are there.
set -eu

missing=
for need in "$@"; do
  package=${need%%=*}
  command=${need#*=}
  if [ -n "$command" ]; then
    command -v "$command" >/dev/null 2>&1 || missing="$missing $package"
  elif command -v dpkg-query >/dev/null 2>&1; then
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  fi
done

if ! command -v cargo >/dev/null 2>&1; then
  echo "Rust is missing: see https://rustup.rs" >&2
  exit 1
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "missing, please install (Debian's names):$missing" >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
  root=
elif command -v sudo >/dev/null 2>&1; then
  root=sudo
else
  echo "missing, and there is neither root nor sudo to install:$missing" >&2
  exit 1
fi

echo "installing:$missing" >&2
$root apt-get update -q >&2
# shellcheck disable=SC2086  # a list of words
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
