#!/bin/sh
# deb.sh DIRECTORY - Debian packages of what `make` built, by dpkg's own tools: libcorertc1 with the shared library,
# libcorertc-dev with all that a host is built with.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
abi=$(sed -n 's/.*-soname,libcorertc\.so\.\([0-9]*\).*/\1/p' build.rs)
architecture=$(dpkg --print-architecture)
lib=usr/lib/$(gcc -print-multiarch)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

make -s install PREFIX=/usr LIBDIR="/$lib" DESTDIR="$work/all"

# package NAME SECTION DEPENDS DESCRIPTION - packs $work/NAME.
package() {
  root=$work/$1
  install -d "$root/DEBIAN" "$root/usr/share/doc/$1"
  {
    echo "These packages are licensed under either of the MIT license or the Apache License, Version 2.0"
    echo "(/usr/share/common-licenses/Apache-2.0), at your option. What they contain of others: see docs/distribution.md"
    echo "of the source."
    echo
    cat LICENSE-MIT
  } >"$root/usr/share/doc/$1/copyright"
  cat >"$root/DEBIAN/control" <<CONTROL
Package: $1
Source: corertc
Version: $version-1
Architecture: $architecture
Multi-Arch: same
Maintainer: the corertc authors <corertc@localhost>
Section: $2
Priority: optional
Depends: $3
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
Description: $4
 corertc gives a media host that drives FFmpeg a complete WebRTC side: WHEP
 and WHIP, behind a C interface.
CONTROL
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -z2 --build "$root" "$out/$1_$version-1_$architecture.deb" >/dev/null
  echo "$out/$1_$version-1_$architecture.deb"
}

# The newest symbol of glibc that it asks for.
glibc=$(objdump -T "$work/all/$lib/libcorertc.so.$abi" | sed -n 's/.*(\{0,1\}GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)

install -d "$work/libcorertc$abi/$lib" "$work/libcorertc$abi/DEBIAN"
mv "$work/all/$lib/libcorertc.so.$abi" "$work/libcorertc$abi/$lib/"
strip --strip-unneeded "$work/libcorertc$abi/$lib/libcorertc.so.$abi"
chmod 644 "$work/libcorertc$abi/$lib/libcorertc.so.$abi"
echo "libcorertc $abi libcorertc$abi (>= $version)" >"$work/libcorertc$abi/DEBIAN/shlibs"
echo "activate-noawait ldconfig" >"$work/libcorertc$abi/DEBIAN/triggers"
package "libcorertc$abi" libs "libc6 (>= $glibc), libgcc-s1" "WebRTC side of a media host (shared library)"

mv "$work/all" "$work/libcorertc-dev"
package libcorertc-dev libdevel "libcorertc$abi (= $version-1), libc6-dev" "WebRTC side of a media host (development files)"
