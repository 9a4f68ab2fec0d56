# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. Others are related to this one, such as
# RHEL and Rocky Linux.

MANAGER=dnf
RUST_PACKAGES=(rust rust-src)
RUST_INSTEAD=
CARGO_PACKAGE=cargo
KERNEL_RUSTC_PACKAGE=rust
LIBC_PACKAGE=glibc-static
RPMBUILD_PACKAGE=rpm-build
MAKEPKG_PACKAGES=(pacman)
METADATA_SOURCE=

install_command() { as_root dnf install "$@"; }
reinstall_command() { as_root dnf reinstall "$@"; }

# The flavour of a kernel is at the end of its release: 6.12.0-55.el10.x86_64+rt.
headers_package() {
	case $1 in
	*+*) echo "kernel-${1##*+}-devel-${1%+*}" ;;
	*) echo "kernel-devel-$1" ;;
	esac
}

cross_gcc_package() { echo "gcc-${1//_/-}"; }

tool_package() {
	case $1 in
	clippy-driver) echo clippy ;;
	rustdoc) echo rust ;;
	*) echo "$1" ;;
	esac
}

rust_library_of() { :; }
metadata_command() { :; }
newest_kernel() { :; }
