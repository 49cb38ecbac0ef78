# corertc: what `make` can do. Start with `make demo` (watch a test picture in a browser) or `make test`.

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
DESTDIR    ?=
# `make PROFILE=dev` builds without optimisation, into the same places.
PROFILE    ?= release
CARGO      ?= cargo
# Of `make fuzz`, for each target.
MINUTES    ?= 2
# Arguments of the demo's host, for instance DEMO='--input film.mp4'.
DEMO       ?=

VERSION    := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
ABI        := $(shell sed -n 's/.*-soname,libcorertc\.so\.\([0-9]*\).*/\1/p' build.rs)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
OUT        := $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
LIB        := build/lib
# What Rust's standard library needs of the system: `cargo rustc -- --print native-static-libs`, without -lgcc_s: a C
# compiler adds its own libgcc_s or, with -static, which knows no shared one, libgcc_eh.
NATIVE     := -lutil -lrt -lpthread -lm -ldl -lc
empty      :=
space      := $(empty) $(empty)
# A relative LIBDIR (lib/x86_64-linux-gnu) stands below PREFIX.
LIBDIR_ABS  = $(if $(filter /%,$(LIBDIR)),$(LIBDIR),$(PREFIX)/$(LIBDIR))

# package=command: the package is installed where the command is missing; package=: where the package is missing.
BUILD_NEEDS = gcc=gcc g++=g++ make=make cmake=cmake binutils=objcopy pkg-config=pkg-config libclang-dev=
DEMO_NEEDS  = $(BUILD_NEEDS) ffmpeg=ffmpeg
TEST_NEEDS  = $(DEMO_NEEDS) python3-venv= chromium=chromium chromium-driver=chromedriver valgrind=valgrind openssl=openssl libssl-dev= procps=ps curl=curl \
              golang-go=go python3-cffi= dpkg-dev=dpkg-deb iproute2=ip nftables=nft conntrack=conntrack \
              python3-gi= gir1.2-gst-plugins-base-1.0= gir1.2-gst-plugins-bad-1.0= gstreamer1.0-plugins-base= \
              gstreamer1.0-plugins-good= gstreamer1.0-plugins-bad= gstreamer1.0-plugins-ugly= gstreamer1.0-libav= \
              gstreamer1.0-nice=
CHECK_NEEDS = musl-tools=musl-gcc gcc-aarch64-linux-gnu=aarch64-linux-gnu-gcc g++-aarch64-linux-gnu=aarch64-linux-gnu-g++ \
              qemu-user-static=qemu-aarch64-static
CHECK_TARGETS = x86_64-unknown-linux-musl aarch64-unknown-linux-gnu

.DELETE_ON_ERROR:
.PHONY: all build install uninstall demo test check-all bench fuzz header fmt-check lint clean cargo-build needs-build needs-test needs-check

all: build

build: $(LIB)/libcorertc.so.$(ABI) $(LIB)/libcorertc.a $(LIB)/pkgconfig/corertc.pc $(LIB)/pkgconfig/corertc-static.pc \
       examples-c/host examples-c/embedded_http

# --- build products ---------------------------------------------------------------------------------------------------

# Cargo knows what is up to date.
cargo-build:
	$(CARGO) build --locked --profile $(PROFILE) --lib

$(OUT)/libcorertc.so $(OUT)/libcorertc.a: cargo-build ;

$(LIB)/libcorertc.so: $(OUT)/libcorertc.so
	mkdir -p $(@D)
	cp $< $@.new && mv $@.new $@

$(LIB)/libcorertc.so.$(ABI): $(LIB)/libcorertc.so
	ln -sf libcorertc.so $@

# One object in which only corertc_* is global: the crypto library inside has names (SSL_new, …) that a host's own
# OpenSSL has too.
$(LIB)/libcorertc.a: $(OUT)/libcorertc.a scripts/static-library.sh
	mkdir -p $(@D)
	scripts/static-library.sh $< $@

# corertc.pc for the shared library, corertc-static.pc for hosts that can't choose by --static (cgo).
$(LIB)/pkgconfig/%.pc: %.pc.in Makefile Cargo.toml
	mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(CURDIR)/build|' -e 's|@LIBDIR@|$(CURDIR)/$(LIB)|' -e 's|@INCLUDEDIR@|$(CURDIR)/include|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@NATIVE@|$(NATIVE)|' $< > $@

examples-c/host examples-c/embedded_http: $(LIB)/libcorertc.so.$(ABI) $(LIB)/pkgconfig/corertc.pc include/corertc.h $(wildcard examples-c/*.[ch])
	PKG_CONFIG_PATH=$(CURDIR)/$(LIB)/pkgconfig $(MAKE) -C examples-c -B $(@F)

# --- installing -------------------------------------------------------------------------------------------------------

install: build
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR_ABS)/pkgconfig
	install -m 644 include/corertc.h $(DESTDIR)$(PREFIX)/include/corertc.h
	install -m 755 $(LIB)/libcorertc.so $(DESTDIR)$(LIBDIR_ABS)/libcorertc.so.$(ABI)
	objcopy --strip-debug $(DESTDIR)$(LIBDIR_ABS)/libcorertc.so.$(ABI)
	ln -sf libcorertc.so.$(ABI) $(DESTDIR)$(LIBDIR_ABS)/libcorertc.so
	install -m 644 $(LIB)/libcorertc.a $(DESTDIR)$(LIBDIR_ABS)/libcorertc.a
	for pc in corertc corertc-static; do \
	  sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR_ABS)|' -e 's|@INCLUDEDIR@|$${prefix}/include|' \
	      -e 's|@VERSION@|$(VERSION)|' -e 's|@NATIVE@|$(NATIVE)|' $$pc.pc.in > $(DESTDIR)$(LIBDIR_ABS)/pkgconfig/$$pc.pc && \
	  chmod 644 $(DESTDIR)$(LIBDIR_ABS)/pkgconfig/$$pc.pc || exit 1; \
	done
	install -d $(DESTDIR)$(LIBDIR_ABS)/cmake/corertc
	for file in corertc-config corertc-config-version; do \
	  sed -e 's|@LIBDIR@|$(LIBDIR_ABS)|' -e 's|@INCLUDEDIR@|$(PREFIX)/include|' -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|' \
	      -e 's|@NATIVE@|$(subst $(space),;,$(NATIVE))|' cmake/$$file.cmake.in > $(DESTDIR)$(LIBDIR_ABS)/cmake/corertc/$$file.cmake && \
	  chmod 644 $(DESTDIR)$(LIBDIR_ABS)/cmake/corertc/$$file.cmake || exit 1; \
	done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/include/corertc.h $(addprefix $(DESTDIR)$(LIBDIR_ABS)/pkgconfig/,corertc.pc corertc-static.pc)
	rm -rf $(DESTDIR)$(LIBDIR_ABS)/cmake/corertc
	rm -f $(addprefix $(DESTDIR)$(LIBDIR_ABS)/,libcorertc.so libcorertc.so.$(ABI) libcorertc.a)

# --- trying it out and testing ----------------------------------------------------------------------------------------

needs-build:
	@scripts/install-missing.sh $(BUILD_NEEDS)

demo:
	@scripts/install-missing.sh $(DEMO_NEEDS)
	@$(MAKE) build
	@scripts/demo.sh $(DEMO)

needs-test:
	@scripts/install-missing.sh $(TEST_NEEDS)
	@{ $(CARGO) fmt --version && $(CARGO) clippy --version; } > /dev/null 2>&1 || rustup component add rustfmt clippy

needs-check:
	@scripts/install-missing.sh $(CHECK_NEEDS)
	@for target in $(CHECK_TARGETS); do \
	    [ -d "$$(rustc --print sysroot)/lib/rustlib/$$target" ] || rustup target add $$target || exit 1; \
	done
	@cargo-deny --version > /dev/null 2>&1 || $(CARGO) install cargo-deny --locked

# Everything that must hold before a change goes in.
test: needs-test
	$(MAKE) fmt-check lint build
	set -e; go=$$(scripts/go-path.sh) || [ "$$CI" != true ]; PATH="$${go:+$$go:}$$PATH"; export PATH; \
	$(CARGO) test --locked; scripts/check-memory.sh; scripts/go-tests.sh

# What takes longer or wants a quiet machine: AddressSanitizer (valgrind is part of `test`), Go's tests again and again and
# golangci-lint, licences (cargo-deny), other targets (rustup's musl and aarch64, Debian's musl-tools, cross compilers and
# qemu-user-static), a minute of each fuzz target, measurements, and the long soak.
check-all: needs-check test
	scripts/asan.sh
	set -e; go=$$(scripts/go-path.sh) || [ "$$CI" != true ]; PATH="$${go:+$$go:}$$PATH"; export PATH; \
	scripts/go-tests.sh --long; scripts/golangci.sh; scripts/musl.sh
	scripts/licences.sh
	scripts/aarch64.sh
	$(MAKE) fuzz MINUTES=1
	$(CARGO) test --locked --release -- --ignored

# The contenders side by side; a package of its own, with its own lock.
bench: needs-test
	bench/run.sh
	$(CARGO) bench --locked --bench start

# Mutated bytes into everything a stranger can reach, MINUTES for each target; a find stays in fuzz/artifacts/. What was
# one goes to fuzz/seeds/ once it is mended: `make test` runs those.
fuzz: needs-build
	@cargo-fuzz --version > /dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	@rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
	set -e; for target in $(or $(TARGETS),$(notdir $(wildcard fuzz/seeds/*))); do \
	    mkdir -p fuzz/corpus/$$target; \
	    $(CARGO) +nightly fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$$(($(MINUTES) * 60)) -rss_limit_mb=2048 -timeout=10 -max_len=8192; \
	done

# Writes include/corertc.h anew after a change of the exports.
header:
	CORERTC_BLESS=1 $(CARGO) test --locked --test abi_header
	scripts/go-header.sh

fmt-check:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

clean:
	rm -rf build
	$(MAKE) -C examples-c clean
	$(CARGO) clean
