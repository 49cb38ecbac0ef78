#!/bin/sh
# go-tests.sh [--long] - the Go module's tests, against what `make` built. --long repeats the ones that races hide from.
# The module itself asks for Go 1.21, its tests for 1.24 (Pion does). Debian has that since 13; an older Go counts as none.
set -eu
cd "$(dirname "$0")/.."
least=1.24
# Only here: seeing it, AWS-LC's build would begin anew.
PKG_CONFIG_PATH=$PWD/build/lib/pkgconfig
# Go's build cache knows what this says, and not what pkg-config says: two checkouts would share one.
CGO_LDFLAGS="-O2 -g -L$PWD/build/lib"
export PKG_CONFIG_PATH CGO_LDFLAGS
cd bindings/go

found=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || found=
if [ -z "$found" ] || [ "$(printf '%s\n%s\n' "$least" "$found" | sort -V | head -n 1)" != "$least" ]; then
  echo "the Go tests need Go $least or newer, here is ${found:-none}: see https://go.dev/dl" >&2
  [ "${CI-}" != true ] || exit 1
  echo "skipped: the Go tests" >&2
  exit 0
fi

strange=$(gofmt -l .)
[ -z "$strange" ] || { echo "not gofmt's: $strange" >&2; exit 1; }
for module in . tests examples/core; do
  (cd $module && go vet ./...)
done
CGO_ENABLED=0 go vet ./...

# -count=1: Go's cache does not see that the library is another. Neither does its linker with the static one: the flag of
# this file's hash makes it link again.
CGO_ENABLED=0 go test -count=1 .
hash=$(sha256sum ../../build/lib/libcorertc.a | cut -c1-16)
go test -count=1 -tags corertc_static -ldflags "-X main.library=$hash" -run 'Start|Panic|Error|Close' .
GOGC=1 go test -count=1 -race .
(cd tests && GOGC=1 go test -count=1 -race -timeout 10m .)

# A host that vendors has the module's files and nothing else of this repository.
host=$(mktemp -d)
trap 'rm -rf "$host"' EXIT
cat >"$host/main.go" <<'HOST'
package main

import (
	"corertc"
	"fmt"
)

func main() {
	rtc, err := corertc.New(corertc.DataWebRTC{Enable: true, UDPListen: "127.0.0.1:0"}, nil)
	if err != nil {
		panic(err)
	}
	rtc.Close()
	fmt.Println(corertc.Version())
}
HOST
cp go.mod go.sum "$host/"
module=$PWD
(
  cd "$host"
  go mod edit -module host -require corertc@v0.0.0 -replace "corertc=$module"
  go mod vendor
  go run -mod=vendor .
  CGO_ENABLED=0 go build -mod=vendor -o inert .
)

if [ "${1-}" = --long ]; then
  GOGC=1 go test -count=10 -race -timeout 20m .
  (cd tests && go test -count=5 -race -timeout 20m .)
  (cd ../../bench && unset PKG_CONFIG_PATH && cargo build --locked --release --bin crowd)
  (cd tests && CORERTC_CROWD=$PWD/../../../bench/target/release/crowd go test -count=1 -v -run Thousand .)
fi
