#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the root in which everything is built and from which the guests boot: Debian 13 with the kernel's
# toolchain, Debian's own kernel from backports with its headers and source, QEMU, and the tools that the
# guests need. Prints its path.
#
# usage: vm/root.sh [--find]    (KNETSTAT_MIRROR: a mirror of the archive, for debootstrap)
#   --find   make nothing: fail if the root is not in the cache

. "$(dirname "$0")/lib.sh"
# shellcheck source=vm/bootstrap.sh
. "$VM/bootstrap.sh"

SUITE=trixie
# Packages to build kernels, modules and tests, and to check the sources.
BUILD="gcc libc6-dev make flex bison bc libelf-dev libssl-dev xz-utils cpio kmod perl patch rsync git
	dwarves zstd mandoc groff-base man-db jq prometheus shellcheck rustc cargo rust-src rustfmt rust-clippy bindgen clang lld llvm libclang-dev"
# Packages to run the guests; vm/bootstrap.sh has those inside of guests.
RUN="qemu-system-x86 virtiofsd busybox-static"
# Debian's kernel: its image, headers and source.
KERNEL="linux-image-cloud-amd64 linux-headers-cloud-amd64 linux-source"

packages() {
	local root=$1
	in_root_at "$root" build apt-get update
	# shellcheck disable=SC2086
	in_root_at "$root" build apt-get install -y $BUILD $RUN $GUEST
	# shellcheck disable=SC2086
	in_root_at "$root" build apt-get install -y -t "$SUITE-backports" $KERNEL
	in_root_at "$root" build apt-get clean
}

# The kernel's image and headers must be of one version. Its source may be newer for
# some hours; scripts/rust-metadata.sh, which needs the same version, compares them.
check_versions() {
	# shellcheck disable=SC2016
	in_root_at "$1" build dpkg-query -W -f '${Version}\n' linux-image-cloud-amd64 \
		linux-headers-cloud-amd64 | sort -u > "$CACHE/log/versions"
	[[ $(wc -l < "$CACHE/log/versions") -eq 1 ]] || {
		echo "kernel image and headers are of different versions:"
		cat "$CACHE/log/versions"
		return 1
	}
	# Kernels are made from these; vm/kernel.sh hashes the list.
	# shellcheck disable=SC2016
	in_root_at "$1" build dpkg-query -W -f '${Package} ${Version}\n' linux-source \
		linux-headers-cloud-amd64 rustc bindgen gcc clang > "$1/.versions"
}

key=$(printf '%s\n' "$SUITE" "$BUILD" "$RUN" "$GUEST" "$KERNEL" "$(bootstrap_recipe; declare -f packages)" | hash_of)
ROOT=$CACHE/root-$key

make_root() {
	local new=$ROOT.new
	note "making the build root, $ROOT"
	need_debootstrap
	remove_tree "$new"
	step_bootstrap "$new" "$SUITE" root
	step "toolchain, tools, kernel packages, from apt" packages '^(Unpacking|Setting up) ' \
		"apt failed; is the network up? then run it again: make vm-setup" packages "$new"
	step "checking the packages" versions '' "the archive is being updated; run it again later: make vm-setup" \
		check_versions "$new"
	remove_tree "$ROOT"
	mv "$new" "$ROOT"
}

prune_roots() { prune root; }

[[ ${1:-} != --find ]] || FIND=yes
make_once "$ROOT" "$ROOT" 12 make_root prune_roots
