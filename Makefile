# SPDX-License-Identifier: GPL-2.0
#
# The targets for people; see: make help. How the module is compiled is in Kbuild.

# The lints are those of the kernel's own way to build Rust.
ifneq ($(filter clippy,$(MAKECMDGOALS)),)
override RUST := kernel
endif

# The kernel to build for, and its build tree: that of the headers package or, with RUST=kernel,
# the one that `make metadata` made.
KVER ?= $(shell uname -r)
ifeq ($(origin KDIR),undefined)
KDIR := $(shell RUST='$(RUST)' scripts/default-kdir.sh '$(KVER)')
endif

# check-kdir.sh says in one line what is wrong, or else prints the rustc to use.
check  = rustc=$$(RUST='$(RUST)' scripts/check-kdir.sh '$(KDIR)' '$(KVER)')
kbuild = $(MAKE) --no-print-directory -C '$(KDIR)' M='$(CURDIR)' RUST='$(RUST)' RUSTC="$$rustc"

.PHONY: all modules
all: modules

modules:
	+@$(check) && $(kbuild) modules

.PHONY: metadata
metadata:
	@scripts/rust-metadata.sh '$(KVER)'

# Where make install puts the manual pages; empty: nowhere.
MANDIR ?= /usr/local/share/man

.PHONY: install uninstall load unload
install uninstall load unload:
	+@MAKE='$(MAKE)' KVER='$(KVER)' KDIR='$(KDIR)' INSTALL_MOD_PATH='$(INSTALL_MOD_PATH)' \
		MANDIR='$(MANDIR)' scripts/module.sh $@

# The command, which takes cargo.
.PHONY: tool install-tool uninstall-tool
tool:
	@ARCH='$(ARCH)' CROSS_COMPILE='$(CROSS_COMPILE)' scripts/command.sh build
install-tool uninstall-tool:
	@ARCH='$(ARCH)' CROSS_COMPILE='$(CROSS_COMPILE)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' \
		MANDIR='$(if $(filter file,$(origin MANDIR)),,$(MANDIR))' scripts/command.sh $(@:-tool=)

# The manual page of the files, from the table of options. It is kept in the checkout, so that
# nobody needs cargo to install it.
.PHONY: man
man:
	@cd tools && cargo run --quiet -p knetstat-man

# The sources of a commit as a package of a distribution takes them.
.PHONY: dist
dist:
	@name=knetstat-$$(scripts/version.sh) && \
	git archive --prefix="$$name/" -o "$$name.tar" HEAD && xz -9 -f "$$name.tar" && echo "$$name.tar.xz"

# The crates of the command beside them, for who builds without a network.
.PHONY: dist-vendor
dist-vendor:
	@scripts/vendor.sh

# The package for DKMS, and the one of the command.
.PHONY: deb deb-dkms
deb:
	@scripts/deb.sh all
deb-dkms:
	@scripts/deb.sh dkms

# Kbuild's own clean where there is a Kbuild, and the rest.
.PHONY: clean
clean:
	+@if [ -f '$(KDIR)/Makefile' ]; then \
		$(MAKE) --no-print-directory -C '$(KDIR)' M='$(CURDIR)' clean; \
	else \
		rm -f -- *.o *.ko *.mod *.mod.c .*.cmd .*.d modules.order Module.symvers; \
	fi
	@rm -rf target tests/target tests/fuzz/target tools/target

# As the kernel's `make rustfmt`, whose settings are in .rustfmt.toml.
.PHONY: fmt fmt-check
fmt:
	@scripts/fmt.sh
fmt-check:
	@scripts/fmt.sh --check

# The kernel's set of lints, for the module; cargo's, for the tests. The object
# is removed first, since a second run has nothing to compile and so to say.
.PHONY: clippy clippy-tests
clippy:
	+@$(check) && driver=$$(scripts/tool.sh "$$rustc" clippy-driver) && \
	rm -f knetstat_rust.o && \
	$(kbuild) CLIPPY=1 CLIPPY_DRIVER="$$driver" KRUSTFLAGS='$(KRUSTFLAGS) -Dwarnings' modules
clippy-tests:
	@cd tests && cargo clippy --workspace --all-targets -- -D warnings
	@cd tests/fuzz && cargo clippy --bins -- -D warnings
	@cd tools && cargo clippy --all-targets -- -D warnings

# All of these checks, and those of scripts and manual pages, with the tools of the tests.
.PHONY: lint
lint:
	+@vm/lint.sh

.PHONY: doc
doc: modules
	@scripts/doc.sh '$(KDIR)' target/doc

# Tests. All of them in the guests, or those that need no kernel.
.PHONY: test test-guest test-host test-build demo
# make test [KERNEL=all]
test:
	+@vm/test.sh $(named)
# make test-guest [KERNEL=NAME] [ONLY=TEXT]
test-guest:
	+@vm/test.sh $(if $(ONLY),--only '$(ONLY)') '$(KERNEL)'
test-host:
	@cd tests && cargo test -p knetstat-host-tests
	@cd tools && cargo test
test-build:
	@cd tests && cargo test -p knetstat-build-tests
# make test-package [KERNEL=debian-12|debian-13|debian-13-backports]
.PHONY: test-package
test-package:
	+@vm/package.sh $(named)
# make test-mutants [ONLY='NAME...']
.PHONY: test-mutants
test-mutants:
	+@vm/mutants.sh $(ONLY)
# make test-load [KERNEL=NAME], make test-volume [KERNEL=NAME] [FAULT=leak-memory]
.PHONY: test-load test-volume
test-load:
	+@vm/load.sh $(named)
test-volume:
	+@vm/volume.sh $(if $(FAULT),--fault '$(FAULT)') $(named)
# make fuzz [SECONDS=60]
.PHONY: fuzz
fuzz:
	+@tests/fuzz/run.sh '$(or $(SECONDS),60)'
# make demo [KERNEL=NAME]
demo:
	+@vm/demo.sh $(named)

# make bench [QUICK=1] [OUT=FILE] [ONLY=PART,...] [AGAINST=DIR] [HERE=1]
.PHONY: bench
bench:
	+@vm/bench.sh $(if $(HERE),--here) $(if $(QUICK),--quick) $(if $(OUT),--out '$(OUT)') $(if $(ONLY),--only '$(ONLY)') $(if $(AGAINST),--against '$(AGAINST)')

# make bench-consistency [KERNEL=NAME] [QUICK=1] [OUT=FILE]
.PHONY: bench-consistency
bench-consistency:
	+@vm/bench.sh $(if $(QUICK),--quick) $(if $(OUT),--out '$(OUT)') --only consistency \
		--kernel '$(if $(filter file,$(origin KERNEL)),debian-13-backports,$(KERNEL))'

# vm, shell, vm-setup, vm-clean.
-include vm/vm.mk

.PHONY: help
help:
	@sed -n 's/^#h \{0,1\}//p' Makefile
#h knetstat: the socket options of every socket, in /proc/net
#h
#h   make               build knetstat.ko for the running kernel
#h
#h   make deb           build the packages: knetstat-dkms_VERSION_all.deb, for DKMS, and
#h                      the command, knetstat_VERSION_ARCH.deb;  make deb-dkms: only the former
#h
#h As root:
#h   make load          load the module:  cat /proc/net/tcpstat
#h   make unload        unload it
#h   make install       install it, for modprobe knetstat, and its manual pages
#h   make uninstall     remove what make install has installed
#h
#h The command, knetstat:
#h   make tool          build it, static; takes cargo and, the first time, the network
#h   make install-tool  install it, its manual page and completions for bash, zsh and
#h                      fish; PREFIX=DIR (/usr/local);  make uninstall-tool: remove them
#h
#h Try it and test it, in virtual machines:
#h   make demo          see it at work on the stock kernel of Debian 13, or on KERNEL=NAME
#h   make test          the tests, also on the oldest and the newest stock kernel;
#h                      KERNEL=all: on all of them
#h   make test-mutants  whether the tests notice mistakes, those of tests/mutants;
#h                      ONLY='NAME...': some of them
#h   make fuzz          the formatting, then the command, on arbitrary input, for
#h                      SECONDS=60 each
#h   make bench         how fast it is, beside /proc/net/tcp and ss; half an hour.
#h                      QUICK=1: in 5, roughly. OUT=FILE: the figures as JSON.
#h                      AGAINST=DIR: this module and another checkout's, by turns.
#h                      HERE=1: only the command, on this machine's own kernel
#h   make bench-consistency  sockets that a read misses or repeats while others come and
#h                      go: ours, /proc/net, ss and BPF iterators. QUICK=1, KERNEL=NAME
#h   make test-guest    the tests in one guest: KERNEL=NAME; ONLY=TEXT: those whose
#h                      name contains it, as ONLY=SO_MARK
#h   make vm CMD='...'  run a command in a guest; KERNEL=NAME, NAME as debian-12
#h   make shell         a shell in a guest
#h   make guests        list the guests
#h   make vm-setup      make the guests of make test, or KERNEL=NAME;
#h                      make vm-clean: remove them all
#h   make test-host     only the tests that need no kernel at all
#h   make test-build    only those of what make says when it cannot build
#h   make test-package  the package: apt install, boot, kernel upgrade, purge;
#h                      KERNEL=debian-12, debian-13 or debian-13-backports
#h   make test-load     stress-ng and the kernel's own selftests beside readers, with
#h                      the module and without; an hour, or KERNEL=NAME
#h   make test-volume   100,000 sockets, 10,000 reads, 500 loads: is all given back?
#h                      ten minutes, or KERNEL=NAME. FAULT=leak-memory, leak-namespace:
#h                      with a module that leaks, which must not pass
#h
#h Work on it:
#h   make fmt           format the sources;  make fmt-check: are they formatted?
#h   make lint          all lints, of sources, scripts and manual pages
#h   make clippy        lints, for the module;  make clippy-tests: for the tests
#h   make man           the manual page man/knetstat.5, from the table of options
#h   make doc           documentation of the sources, in target/doc
#h   make dist          the sources of the last commit: knetstat-VERSION.tar.xz;
#h                      make dist-vendor: the crates of the command, beside it
#h   make clean         remove what was built
#h
#h With the kernel's own Rust, for kernels that have CONFIG_RUST:
#h   make RUST=kernel   build so; takes the kernel's own rustc, and its metadata
#h   make metadata      make these, where the headers have none (Debian); 2 minutes,
#h                      2 GB while it runs. KNETSTAT_CACHE=DIR: where they are kept
#h                      (/var/cache/knetstat)
#h
#h Variables:
#h   KVER=RELEASE       the kernel to build for            (uname -r)
#h   KDIR=DIR           its build tree                     (/lib/modules/KVER/build)
#h   RUSTC=FILE         the compiler                       (1.85 or later)
#h   ARCH= LLVM= V=1    as for every kernel module; CROSS_COMPILE=
#h   INSTALL_MOD_PATH=  install: the root to install to    (/)
#h   MANDIR=            install: where manual pages go     (/usr/local/share/man)
