# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts here have in common. To be sourced.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Says what is wrong and what mends it, in one line, and ends the script.
die() {
	printf 'knetstat: %s\n' "$*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: how a person gives a command that only root may.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		echo "$*"
	else
		echo "sudo $*"
	fi
}

# apt_install PACKAGE...: how a person installs Debian packages here.
apt_install() { as_root apt install "$@"; }

# Where the kernels' modules and build trees are. Tests have another place.
lib_modules=${KNETSTAT_LIB_MODULES:-/lib/modules}

# os_release NAME: what the distribution says of itself, without quotes; or nothing.
os_release() {
	sed -n "s/^$1=[\"']\{0,1\}\([^\"']*\)[\"']\{0,1\}\$/\1/p" "${KNETSTAT_OS_RELEASE:-/etc/os-release}" 2>/dev/null || true
}

# family: the distribution whose packages are installed here: debian, ubuntu, fedora, arch or suse.
# One that was made from another names it in ID_LIKE; of one that names none of these, the package
# manager tells.
family() {
	local id
	for id in $(os_release ID) $(os_release ID_LIKE); do
		case $id in
		debian | ubuntu | fedora | arch | suse)
			echo "$id"
			return
			;;
		esac
	done
	if have apt-get; then
		echo debian
	elif have dnf; then
		echo fedora
	elif have pacman; then
		echo arch
	elif have zypper; then
		echo suse
	else
		echo debian
	fi
}

# install_packages [--reinstall] PACKAGE...: how a person installs here what Debian calls so.
install_packages() {
	local again='' name names=()
	if [ "$1" = --reinstall ]; then
		again=1
		shift
	fi
	case $(family) in
	debian | ubuntu)
		apt_install ${again:+--reinstall} "$@"
		return
		;;
	arch)
		for name; do
			case $name in
			rustc | cargo) name=rust ;;
			gcc-*) name=${name#gcc-}-gcc ;;
			esac
			names+=("$name")
		done
		as_root pacman -S "${names[@]}"
		;;
	suse)
		as_root zypper install ${again:+--force} "${@/#rustc/rust}"
		;;
	fedora)
		if [ -n "$again" ]; then
			as_root dnf reinstall "${@/#rustc/rust}"
		else
			as_root dnf install "${@/#rustc/rust}"
		fi
		;;
	esac
}

# of_armbian RELEASE: whether it is one of Armbian's kernels, such as 6.12.58-current-rockchip64.
of_armbian() { [[ $1 =~ ^[0-9.]+-(legacy|vendor|current|edge|bleedingedge)- ]]; }

# install_headers [--reinstall] RELEASE: how a person installs the headers of a kernel here.
install_headers() {
	local again=() release pkgbase
	if [ "$1" = --reinstall ]; then
		again=("$1")
		shift
	fi
	release=$1
	case $(family) in
	# Flavours of the kernel are named at the end: 6.12.0-55.el10.x86_64+rt, 6.4.0-150600.23-default.
	fedora)
		case $release in
		*+*) set -- "kernel-${release##*+}-devel-${release%+*}" ;;
		*) set -- "kernel-devel-$release" ;;
		esac
		;;
	suse) set -- "kernel-${release##*-}-devel" ;;
	# The package's name is beside the modules. Otherwise: 7.2.1-arch1-1, 6.12.9-1-lts.
	arch)
		pkgbase=$(cat "$lib_modules/$release/pkgbase" 2>/dev/null) || true
		if [ -z "$pkgbase" ]; then
			case $release in
			*-lts | *-zen | *-hardened) pkgbase=linux-${release##*-} ;;
			*) pkgbase=linux ;;
			esac
		fi
		set -- "$pkgbase-headers"
		;;
	*)
		# Armbian's packages have no version in their names.
		if of_armbian "$release"; then
			set -- "linux-headers-${release#*-}"
		else
			set -- "linux-headers-$release"
		fi
		;;
	esac
	install_packages "${again[@]}" "$1"
}

# oldest_kernel: the oldest that knetstat builds for, in the way that RUST says.
# shellcheck disable=SC2153 # RUST is the caller's, and no misspelling of RUSTC.
oldest_kernel() { sed -n "s/^$RUST //p" "$scripts/supported-kernels" | head -n 1; }

# older A B: whether version A is older than B.
older() { [ "$1" != "$2" ] && sort -VC <<<"$1"$'\n'"$2"; }

# version_of RELEASE: 7.3 from 7.3.4+deb13-amd64.
version_of() { sed -E 's/^([0-9]+\.[0-9]+).*/\1/' <<<"$1"; }

# The kernel that is known to do, and how to get it.
get_a_kernel() {
	echo "on Debian 13: $(apt_install -t trixie-backports linux-image-amd64 linux-headers-amd64), and reboot"
}

# config_value FILE NAME: the value of CONFIG_NAME, without quotes; nothing if it is not set.
config_value() { sed -n "s/^CONFIG_$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1"; }

# tree_release KDIR: the release of a build tree, as uname -r says it there. (In Debian 12's headers
# kernel.release has the upstream version.)
tree_release() {
	local release
	release=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$1/include/generated/utsrelease.h" 2>/dev/null) || true
	if [ -n "$release" ]; then
		echo "$release"
	else
		cat "$1/include/config/kernel.release" 2>/dev/null || true
	fi
}

# kernel_config RELEASE: the configuration that the kernel image was built with, if it is installed.
kernel_config() {
	local f
	for f in "/boot/config-$1" "$lib_modules/$1/config" "/usr/lib/modules/$1/config"; do
		if [ -r "$f" ]; then
			echo "$f"
			return
		fi
	done
}

# rustc_text RUSTC: what the kernel calls CONFIG_RUSTC_VERSION_TEXT.
rustc_text() { "$1" --version 2>/dev/null | tr -d '#' || true; }

# real_rustc RUSTC: the compiler behind rustup's proxy, which would choose another one in another directory.
real_rustc() {
	local sysroot
	sysroot=$("$1" --print sysroot 2>/dev/null) || true
	if [ -n "$sysroot" ] && [ -x "$sysroot/bin/rustc" ]; then
		echo "$sysroot/bin/rustc"
	else
		command -v "$1"
	fi
}

# rustcs: the compilers there are, the system's first and those with a release in their names, as
# Ubuntu has them, last.
rustcs() {
	local rustc
	for rustc in "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}" rustc $(compgen -c rustc-1. | sort -urV); do
		if have "$rustc"; then
			real_rustc "$rustc"
		fi
	done
}

# find_rustc TEXT: the compiler whose version text is TEXT, or else the first there is, or else nothing.
# What the user gave in RUSTC is taken as it is.
find_rustc() {
	local rustc first=
	if [ -n "${RUSTC:-}" ]; then
		command -v "$RUSTC" || true
		return
	fi
	for rustc in $(rustcs); do
		if [ "$(rustc_text "$rustc")" = "$1" ]; then
			echo "$rustc"
			return
		fi
		first=${first:-$rustc}
	done
	echo "$first"
}

# The oldest rustc that builds the module without the kernel's Rust.
# shellcheck disable=SC2034
oldest_rustc=1.85

# rustc_release RUSTC: such as 1.85, or nothing if it does not run.
rustc_release() { "$1" --version 2>/dev/null | sed -nE 's/^rustc ([0-9]+\.[0-9]+).*/\1/p' || true; }

# rust_library RUSTC: where the sources of its `core` are, if they are.
rust_library() {
	local sysroot library release
	sysroot=$("$1" --print sysroot 2>/dev/null) || true
	library=${sysroot:-/no-sysroot}/lib/rustlib/src/rust/library
	# Where Ubuntu's packages have them. As in rust/own.mk.
	release=$("$1" --version 2>/dev/null | cut -d' ' -f2) || true
	if [ ! -d "$library" ] && [ -d "${KNETSTAT_USR_SRC:-/usr/src}/rustc-$release/library" ]; then
		library=${KNETSTAT_USR_SRC:-/usr/src}/rustc-$release/library
	fi
	echo "${RUST_LIB_SRC:-$library}"
}

# find_own_rustc: the first compiler that is new enough and has the sources of `core`, or else the
# first, or else nothing. What the user gave in RUSTC is taken as it is.
find_own_rustc() {
	local rustc version first=
	if [ -n "${RUSTC:-}" ]; then
		command -v "$RUSTC" || true
		return
	fi
	for rustc in $(rustcs); do
		first=${first:-$rustc}
		version=$(rustc_release "$rustc")
		if [ -n "$version" ] && ! older "$version" "$oldest_rustc" &&
			[ -f "$(rust_library "$rustc")/core/src/lib.rs" ]; then
			echo "$rustc"
			return
		fi
	done
	echo "$first"
}

# rust_packages: Debian's names for such a compiler and its sources, the sources last.
rust_packages() {
	case $(family):$(os_release VERSION_ID):$(os_release UBUNTU_CODENAME) in
	debian:12:*) echo "rustc-web rust-web-src" ;;
	ubuntu:*:jammy | ubuntu:*:noble) echo "rustc-$oldest_rustc rust-$oldest_rustc-src" ;;
	*) echo "rustc rust-src" ;;
	esac
}

# install_rust [--reinstall | --sources]: how a person gets the two, or the sources only.
install_rust() {
	local packages
	# shellcheck disable=SC2207
	packages=($(rust_packages))
	case $(family):${1:-} in
	# It has no package of the sources.
	suse:*) echo "$(install_packages rustup) && rustup toolchain install stable --component rust-src" ;;
	*:--sources) install_packages "${packages[1]}" ;;
	*) install_packages "$@" "${packages[@]}" ;;
	esac
}

# cargo_package: Debian's name for a cargo that is new enough.
cargo_package() {
	case $(family):$(os_release VERSION_ID):$(os_release UBUNTU_CODENAME) in
	debian:12:*) echo cargo-web ;;
	ubuntu:*:jammy | ubuntu:*:noble) echo "cargo-$oldest_rustc" ;;
	*) echo cargo ;;
	esac
}

# install_static_libc: how a person gets a C library to link with statically.
install_static_libc() {
	case $(family) in
	debian | ubuntu) install_packages libc6-dev ;;
	fedora) install_packages glibc-static ;;
	suse) install_packages glibc-devel-static ;;
	*) install_packages glibc ;;
	esac
}

# have_gcc NAME: whether there is that compiler, also as NAME-14, which is what Debian's headers
# bring.
have_gcc() { have "$1" || [ -n "$(compgen -c "$1-")" ]; }

# package_version PACKAGE: the version that dpkg has installed, or nothing.
package_version() {
	have dpkg-query || return 0
	local line
	line=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null) || true
	case $line in installed\ *) echo "${line#installed }" ;; esac
}

# kernel_package RELEASE: the Debian version of the installed kernel, or nothing.
kernel_package() {
	local p v
	for p in "linux-binary-$1" "linux-image-$1-unsigned" "linux-image-$1" "linux-headers-$1"; do
		v=$(package_version "$p")
		if [ -n "$v" ]; then
			echo "$v"
			return
		fi
	done
}

# metadata_dirs RELEASE: where the Rust metadata of a kernel may be, the place to make it first.
metadata_dirs() {
	if [ -n "${KNETSTAT_CACHE:-}" ]; then
		echo "$KNETSTAT_CACHE/metadata/$1"
		return
	fi
	if [ "$(id -u)" = 0 ]; then
		echo "/var/cache/knetstat/metadata/$1"
	fi
	if [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ]; then
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/knetstat/metadata/$1"
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "/var/cache/knetstat/metadata/$1"
	fi
}

# wrong_rustc RUSTC TEXT RELEASE: ends the script, for RUSTC is not the one that the kernel was built with.
wrong_rustc() {
	local found mend
	found=$(rustc_text "$1")
	if [ -n "${RUSTC:-}" ]; then
		mend="leave RUSTC out, or give that one: RUSTC=FILE"
	elif ! have "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}"; then
		mend="run: $(install_packages rustc)"
	elif [ "$(family)" != debian ]; then
		mend="build with any rustc: make RUST=own; or give that one: RUSTC=FILE"
	else
		mend="bring kernel and rustc to one release: $(apt_install -t trixie-backports linux-image-amd64 linux-headers-amd64), and reboot; or give that one: RUSTC=FILE"
	fi
	if [ -z "$found" ]; then
		die "$1 does not run, and Linux $3 was built with \"$2\"; $mend"
	fi
	die "$1 is \"$found\", but Linux $3 was built with \"$2\"; $mend"
}

# Name of the file that a finished metadata tree bears.
# shellcheck disable=SC2034
stamp=.knetstat-metadata
