# SPDX-License-Identifier: GPL-2.0
#
# The targets that people run; `make help` lists the common ones. Kbuild has the rules that compile the module.

# It would change where `cd tools` and the like go.
unexport CDPATH

# clippy runs by the kernel's own rules for Rust.
ifneq ($(filter clippy,$(MAKECMDGOALS)),)
override RUST := kernel
endif

# The kernel to build for, and its build tree: that of the headers package or, with RUST=kernel, the one
# that `make metadata` made, if it exists.
KVER ?= $(shell uname -r)
ifeq ($(origin KDIR),undefined)
KDIR := $(shell RUST='$(RUST)' scripts/default-kdir.sh '$(KVER)')
endif

# check-kdir.sh prints the rustc to use, or says in one line why the module cannot be built.
check  = rustc=$$(RUST='$(RUST)' scripts/check-kdir.sh '$(KDIR)' '$(KVER)')
# The path of the checkout may contain a quotation mark, which check-kdir.sh refuses.
here   = "$$(pwd -P)"
kbuild = $(MAKE) --no-print-directory -C '$(KDIR)' M=$(here) RUST='$(RUST)' RUSTC="$$rustc"

# Goals such as `clean all` depend on their order. Kbuild compiles in parallel all the same.
.NOTPARALLEL:

.PHONY: all modules
all: modules

modules:
	+@$(check) && $(kbuild) modules

.PHONY: metadata
metadata:
	@scripts/rust-metadata.sh '$(KVER)'

# The root that `make install` installs to, which other projects name DESTDIR.
INSTALL_MOD_PATH ?= $(DESTDIR)

# The directory in which `make install` puts the manual pages; if empty, it installs none.
MANDIR ?= /usr/local/share/man

.PHONY: install uninstall load unload
install uninstall load unload:
	+@MAKE='$(MAKE)' KVER='$(KVER)' KDIR='$(KDIR)' INSTALL_MOD_PATH='$(INSTALL_MOD_PATH)' \
		MANDIR='$(MANDIR)' scripts/module.sh $@

# The command, which is built by cargo.
.PHONY: tool install-tool uninstall-tool
tool:
	@ARCH='$(ARCH)' CROSS_COMPILE='$(CROSS_COMPILE)' scripts/command.sh build
install-tool uninstall-tool:
	@ARCH='$(ARCH)' CROSS_COMPILE='$(CROSS_COMPILE)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' \
		MANDIR='$(if $(filter file,$(origin MANDIR)),,$(MANDIR))' scripts/command.sh $(@:-tool=)

# Generates manual pages from the table of options. They are kept in the repository, so that installing
# them needs no cargo.
.PHONY: man
man:
	@cd tools && cargo run --quiet -p knetstat-man

# Packs the sources of the last commit, for the package of a distribution.
.PHONY: dist
dist:
	@name=knetstat-$$(scripts/version.sh) && \
	git archive --prefix="$$name/" -o "$$name.tar" HEAD && xz -9 -f "$$name.tar" && echo "$$name.tar.xz"

# Packs the crates of the command, for builds without a network.
.PHONY: dist-vendor
dist-vendor:
	@scripts/vendor.sh

# The packages: the module for DKMS, and the command.
.PHONY: deb deb-dkms rpm rpm-dkms arch
deb:
	@scripts/deb.sh all
deb-dkms:
	@scripts/deb.sh dkms
rpm:
	@scripts/rpm.sh all
rpm-dkms:
	@scripts/rpm.sh dkms
arch:
	@scripts/arch.sh

# Kbuild's own clean needs a build tree; without one, remove what Kbuild would.
.PHONY: clean
clean:
	+@if [ -f '$(KDIR)/Makefile' ]; then \
		$(MAKE) --no-print-directory -C '$(KDIR)' M=$(here) clean; \
	else \
		for dir in . bindings rust; do \
			(cd "$$dir" && rm -f -- *.o .*.o *.s *.ko *.mod *.mod.c *.rmeta .*.cmd .*.d); \
		done; \
		rm -f -- bindings/layout.rs rust/target.json rust/rustc_cfg modules.order Module.symvers; \
	fi
	@rm -rf target tests/target tests/fuzz/target tools/target

# Like the kernel's `make rustfmt`; .rustfmt.toml has its settings.
.PHONY: fmt fmt-check
fmt:
	@scripts/fmt.sh
fmt-check:
	@scripts/fmt.sh --check

# The kernel's lints for the module, and cargo's defaults for the programs. The object is removed first,
# because clippy reports nothing about an object that is up to date.
.PHONY: clippy clippy-tests
clippy:
	+@$(check) && driver=$$(scripts/tool.sh "$$rustc" clippy-driver) && \
	rm -f knetstat_rust.o && \
	$(kbuild) CLIPPY=1 CLIPPY_DRIVER="$$driver" KRUSTFLAGS='$(KRUSTFLAGS) -Dwarnings' modules
clippy-tests:
	@cd tests && cargo clippy --locked --workspace --all-targets -- -D warnings
	@cd tests/fuzz && cargo clippy --locked --bins -- -D warnings
	@cd tools && cargo clippy --locked --all-targets -- -D warnings

# All checks of the sources, also of scripts and manual pages, with the tools of the build root.
.PHONY: lint
lint:
	+@vm/lint.sh

.PHONY: doc
doc: modules
	@scripts/doc.sh '$(KDIR)' target/doc

# Runs all stages of the tests, with KERNEL=all also those of the guests that run only then.
# make test [KERNEL=all]
.PHONY: test test-guest test-host test-build demo
test:
	+@vm/test.sh $(named)
# Runs the tests in one guest, with ONLY those whose names contain TEXT.
# make test-guest [KERNEL=NAME] [ONLY=TEXT]
test-guest:
	+@vm/test.sh $(if $(ONLY),--only '$(ONLY)') '$(KERNEL)'
# Run the tests that need no kernel: of the sources and the command, and of the messages of `make`.
# The tests of the command run even if others failed. The table of options is compared with the kernel
# source that KNETSTAT_LINUX_SOURCE names, or with the one in the cache that was used last.
test-host: export KNETSTAT_LINUX_SOURCE ?= $(patsubst %/,%,$(firstword $(shell \
	ls -td '$(or $(KNETSTAT_CACHE),/var/cache/knetstat)'/linux-????????????????/ 2>/dev/null)))
test-host:
	@status=0; \
	(cd tests && cargo test --no-fail-fast -p knetstat-host-tests) || status=1; \
	(cd tools && cargo test --no-fail-fast) || status=1; \
	[ -f "$$KNETSTAT_LINUX_SOURCE/net/core/sock.c" ] || \
		echo 'skipped: the comparison of the options with a kernel source; to get one: make vm-setup KERNEL=uml' >&2; \
	exit $$status
test-build:
	@cd tests && cargo test -p knetstat-build-tests
# Tests the packages: apt install, boot, kernel upgrade, purge; rpm and pacman.
# make test-package [KERNEL=debian-12|debian-13|debian-13-backports|rpm|arch]
.PHONY: test-package
test-package:
	+@vm/package.sh $(named)
# Tests --all-netns with podman, Docker, containerd, LXC and systemd-nspawn, and the metrics with Prometheus.
# ONLY starts only containers whose tests have TEXT in their name.
# make test-containers [KERNEL=debian-13|debian-13-backports] [ONLY=TEXT]
.PHONY: test-containers
test-containers:
	+@vm/containers.sh $(if $(ONLY),--only '$(ONLY)') $(named)
# Builds the module for kernel configurations that no guest has, such as clang's, without IPv6, or with 64K
# pages, and checks that make refuses those in which it would not work.
# make test-configs [ONLY='NAME...']
.PHONY: test-configs
test-configs:
	+@vm/configs.sh $(ONLY)
# Checks that the tests notice the mistakes in tests/mutants/, with ONLY some of them.
# make test-mutants [ONLY='NAME...']
.PHONY: test-mutants
test-mutants:
	+@vm/mutants.sh $(ONLY)
# Runs stress-ng and the kernel's selftests beside readers, for an hour.
# make test-load [KERNEL=NAME]
.PHONY: test-load test-volume
test-load:
	+@vm/load.sh $(named)
# Compares what the kernel holds before and after 100,000 sockets, 10,000 reads and 500 loads. FAULT builds
# a module that leaks, which must fail the test.
# make test-volume [KERNEL=NAME] [FAULT=leak-memory|leak-namespace]
test-volume:
	+@vm/volume.sh $(if $(FAULT),--fault '$(FAULT)') $(named)
# Runs each fuzz target for the given number of seconds.
# make fuzz [SECONDS=60]
.PHONY: fuzz
fuzz:
	+@tests/fuzz/run.sh '$(or $(SECONDS),60)'
# Shows the module at work in a guest.
# make demo [KERNEL=NAME]
demo:
	+@vm/demo.sh $(named)

# Measures the module beside /proc/net/tcp and ss, for half an hour (QUICK: 5 minutes). OUT gets the figures
# as JSON. AGAINST is another checkout, whose module is measured by turns with this one. HERE measures only
# the command, on this machine's kernel.
# make bench [QUICK=1] [OUT=FILE] [ONLY=PART,...] [AGAINST=DIR] [HERE=1]
.PHONY: bench
bench:
	+@vm/bench.sh $(if $(HERE),--here) $(if $(QUICK),--quick) $(if $(OUT),--out '$(OUT)') $(if $(ONLY),--only '$(ONLY)') $(if $(AGAINST),--against '$(AGAINST)')

# Counts the sockets that a reader misses or repeats while others come and go, for the module, /proc/net,
# ss and BPF iterators.
# make bench-consistency [KERNEL=NAME] [QUICK=1] [OUT=FILE]
.PHONY: bench-consistency
bench-consistency:
	+@vm/bench.sh $(if $(QUICK),--quick) $(if $(OUT),--out '$(OUT)') --only consistency \
		--kernel '$(if $(filter file,$(origin KERNEL)),debian-13-backports,$(KERNEL))'

# The pictures in the README: the command on terminals of a guest.
# make picture [KERNEL=NAME]
.PHONY: picture
picture:
	+@vm/picture.sh $(named)

# The targets vm, shell, guests, vm-setup and vm-clean.
-include vm/vm.mk

.PHONY: help
help:
	@sed -n 's/^#h \{0,1\}//p' Makefile
#h knetstat: the socket options of every TCP and UDP socket, in /proc/net
#h
#h The module:
#h   make                 build knetstat.ko for the running kernel
#h   make load            load it, as root; then: cat /proc/net/tcpstat
#h   make unload          unload it, as root
#h   make install         install it and its manual pages, as root; then: modprobe knetstat
#h   make uninstall       remove what make install installed, as root
#h
#h The command, which needs cargo, and the network for its first build:
#h   make tool            build it
#h   make install-tool    install it, its manual pages and its shell completions
#h   make uninstall-tool  remove these
#h
#h Packages, knetstat-dkms (the module) and knetstat (the command):
#h   make deb             build both for Debian and Ubuntu
#h   make rpm             build both for Fedora, RHEL and their relatives
#h   make arch            build both for Arch
#h   make deb-dkms, make rpm-dkms   build knetstat-dkms only, which needs no cargo
#h
#h In virtual machines, on Debian 12 or 13 as root:
#h   make demo            show the module at work on the stock kernel of Debian 13
#h   make shell           open a shell in a guest
#h   make vm CMD='...'    run a command in a guest; TIMEOUT=S: for at most S seconds
#h   make guests          list the guests; KERNEL=NAME chooses one, also for make demo
#h   make vm-setup        make the guests of make test, or with KERNEL=NAME only one
#h   make test            run the tests; KERNEL=all: in all guests that do not run only by name
#h   make vm-clean        remove the guests and all that was made for them
#h
#h Development:
#h   make test-host       run the tests that need no kernel
#h   make test-build      run the tests of the messages of make
#h   make test-guest      run the tests of one guest, KERNEL=NAME; ONLY=SO_MARK: those with this in their name
#h   make fmt             format the sources
#h   make lint            check sources, scripts and manual pages; make test does so, too
#h   make clippy          check only the module;  make clippy-tests: only the programs
#h   make man             generate man/knetstat.5 from the table of options
#h   make doc             generate the documentation of the sources, in target/doc
#h   make clean           remove what was built
#h   The Makefile and vm/vm.mk describe the other targets.
#h
#h With the kernel's own Rust, for kernels that have CONFIG_RUST:
#h   make RUST=kernel     build with it; needs the rustc and the metadata of the kernel
#h   make metadata        make the metadata, if the headers have none (Debian); 2 minutes, 2 GB
#h
#h Variables:
#h   KVER=RELEASE         the kernel to build for             (uname -r)
#h   KDIR=DIR             its build tree                      (/lib/modules/KVER/build)
#h   RUSTC=FILE           the compiler                        (1.85 or later)
#h   RUST=kernel          see above                           (standalone: without the kernel's)
#h   ARCH= CROSS_COMPILE= LLVM= V=1   as for every kernel module
#h   INSTALL_MOD_PATH=    make install: the root to install to            (DESTDIR, or /)
#h   MANDIR=              the directory for manual pages  (/usr/local/share/man; tool: PREFIX/share/man)
#h   PREFIX=              make install-tool: the directory to install to  (/usr/local)
#h   DESTDIR=             make install-tool: the root to install to       (/)
#h   KNETSTAT_LINUX_SOURCE=   make test-host: the kernel source for tests (that in the cache)
#h   KNETSTAT_CACHE=      the cache of metadata and virtual machines      (/var/cache/knetstat)
