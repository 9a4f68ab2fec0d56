# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. Others are made from this one, such as
# Armbian.

MANAGER=apt-get
RUST_PACKAGES=(rustc rust-src)
RUST_INSTEAD=
CARGO_PACKAGE=cargo
# release_of_debian: the codename of the release of Debian, or of the one that the distribution was made from or is
# as old as. Those that were made from Debian have versions of their own.
release_of_debian() {
	local name codename=
	for name in DEBIAN_CODENAME UBUNTU_CODENAME VERSION_CODENAME; do
		codename=${codename:-$(os_release "$name")}
	done
	case $(os_release ID):$(os_release VERSION_ID):$codename in
	debian:12:* | *:daedalus) echo bookworm ;;
	debian:11:* | *:chimaera | *:focal) echo bullseye ;;
	*) echo "$codename" ;;
	esac
}
case $(release_of_debian) in
# Its own rustc is too old.
bookworm)
	RUST_PACKAGES=(rustc-web rust-web-src)
	CARGO_PACKAGE=cargo-web
	;;
# It has no rustc that is new enough, and no package of rustup. Nor has Ubuntu 20.04.
bullseye)
	RUST_PACKAGES=()
	RUST_INSTEAD="rustup toolchain install stable --component rust-src && rustup default stable (rustup is at https://rustup.rs)"
	CARGO_PACKAGE=
	;;
esac
KERNEL_RUSTC_PACKAGE=rustc
LIBC_PACKAGE=libc6-dev
RPMBUILD_PACKAGE=rpm
MAKEPKG_PACKAGES=(makepkg pacman-package-manager libarchive-tools)
METADATA_SOURCE=linux-source

install_command() { as_root apt install "$@"; }
reinstall_command() { install_command --reinstall "$@"; }

# of_armbian RELEASE: whether it is one of Armbian's kernels, such as 6.12.58-current-rockchip64.
of_armbian() { [[ $1 =~ ^[0-9.]+-(legacy|vendor|current|edge|bleedingedge)- ]]; }

headers_package() {
	# Armbian's packages have no version in their names.
	if of_armbian "$1"; then
		echo "linux-headers-${1#*-}"
	else
		echo "linux-headers-$1"
	fi
}

# No name of a package has an underscore in it.
cross_gcc_package() { echo "gcc-${1//_/-}"; }

tool_package() {
	case $1 in
	clippy-driver) echo rust-clippy ;;
	rustdoc) echo rustc ;;
	*) echo "$1" ;;
	esac
}

rust_library_of() { echo "${KNETSTAT_USR_SRC:-/usr/src}/rustc-$1/library"; }

metadata_command() {
	if of_armbian "$1"; then
		return
	elif [ "$1" = "$(uname -r)" ]; then
		echo "make metadata"
	else
		echo "make metadata KVER=$1"
	fi
}

newest_kernel() {
	echo "$(install_command -t trixie-backports linux-image-amd64 linux-headers-amd64), and reboot"
}
