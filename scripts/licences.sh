#!/bin/sh
# licences.sh - every dependency that ships has a licence that deny.toml allows, and none is there that it bans.
# The advisories are not asked: their database is a download of its own.
set -eu
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null 2>&1; then
  echo "licences.sh: cargo-deny is missing (cargo install --locked cargo-deny)" >&2
  [ "${CI-}" != true ] || exit 1
  exit 0
fi
cargo deny --locked check licenses bans sources
