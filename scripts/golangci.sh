#!/bin/sh
# golangci.sh - golangci-lint's default set over the Go modules. Where none is installed, Go builds the one named here, once.
set -eu
cd "$(dirname "$0")/.."
version=v2.13.1
PKG_CONFIG_PATH=$PWD/build/lib/pkgconfig
export PKG_CONFIG_PATH
lint() {
  if command -v golangci-lint >/dev/null 2>&1; then
    golangci-lint "$@"
  else
    go run "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version" "$@"
  fi
}
for module in . tests examples/core; do
  (cd "bindings/go/$module" && lint run ./...)
done
# Not with CGO_ENABLED=0: what the library calls is unused there, and go vet has seen the rest (go-tests.sh).
