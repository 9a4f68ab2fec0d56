# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. Others are made from this one, such as
# Manjaro.

MANAGER=pacman
RUST_PACKAGES=(rust rust-src)
RUST_INSTEAD=
CARGO_PACKAGE=rust
KERNEL_RUSTC_PACKAGE=rust
LIBC_PACKAGE=glibc
RPMBUILD_PACKAGE=rpm-tools
MAKEPKG_PACKAGES=(pacman)
METADATA_SOURCE=

install_command() { as_root pacman -S "$@"; }
reinstall_command() { install_command "$@"; }

# The name of a kernel's package is in a file beside its modules. If that is missing, the release
# names it: 7.2.1-arch1-1, 6.12.9-1-lts.
headers_package() {
	local pkgbase
	pkgbase=$(cat "$lib_modules/$1/pkgbase" 2> /dev/null) || true
	if [ -z "$pkgbase" ]; then
		case $1 in
		*-lts | *-zen | *-hardened) pkgbase=linux-${1##*-} ;;
		*) pkgbase=linux ;;
		esac
	fi
	echo "$pkgbase-headers"
}

cross_gcc_package() { echo "$1-gcc"; }
tool_package() { echo rust; }
rust_library_of() { :; }
metadata_command() { :; }
newest_kernel() { :; }
