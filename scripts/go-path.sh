#!/bin/sh
# go-path.sh - prints the directory of a go command that is new enough for the Go tests. Where the one at hand is older
# (Debian 12 has 1.19), it fetches a newer toolchain the way Go itself does since 1.21: as a module, sums checked.
set -eu
least=1.24
toolchain=1.24.13

found=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || found=
[ -n "$found" ] || { echo "there is no go command" >&2; exit 1; }
if [ "$(printf '%s\n%s\n' "$least" "$found" | sort -V | head -n 1)" = "$least" ]; then
  dirname "$(command -v go)"
  exit 0
fi
name=v0.0.1-go$toolchain.$(go env GOOS)-$(go env GOARCH)
# Outside any module: an old go would read ours and not understand it.
cd "${TMPDIR:-/tmp}"
directory=$(go mod download -json "golang.org/toolchain@$name" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
[ -d "$directory/bin" ] || { echo "can't fetch Go $toolchain" >&2; exit 1; }
# A module's files are read-only and not executable.
[ -x "$directory/bin/go" ] || chmod -R u+rwX,go+rX,a+x "$directory/bin" "$directory/pkg/tool"
echo "$directory/bin"
