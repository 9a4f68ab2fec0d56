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

# apt_install PACKAGE...: how a person installs Debian packages here.
apt_install() {
	if [ "$(id -u)" = 0 ]; then
		echo "apt install $*"
	else
		echo "sudo apt install $*"
	fi
}

# oldest_kernel: the oldest that knetstat builds for, in the way that RUST says.
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
	for f in "/boot/config-$1" "/lib/modules/$1/config" "/usr/lib/modules/$1/config"; do
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

# find_rustc TEXT: the compiler whose version text is TEXT, or else the first there is, or else nothing.
# What the user gave in RUSTC is taken as it is.
find_rustc() {
	local rustc first=
	if [ -n "${RUSTC:-}" ]; then
		command -v "$RUSTC" || true
		return
	fi
	for rustc in "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}" rustc; do
		have "$rustc" || continue
		rustc=$(real_rustc "$rustc")
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
	local sysroot
	sysroot=$("$1" --print sysroot 2>/dev/null) || true
	echo "${RUST_LIB_SRC:-${sysroot:-/no-sysroot}/lib/rustlib/src/rust/library}"
}

# find_own_rustc: the first compiler that is new enough and has the sources of `core`, or else the
# first, or else nothing. What the user gave in RUSTC is taken as it is.
find_own_rustc() {
	local rustc version first=
	if [ -n "${RUSTC:-}" ]; then
		command -v "$RUSTC" || true
		return
	fi
	for rustc in "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}" rustc; do
		have "$rustc" || continue
		rustc=$(real_rustc "$rustc")
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
	if grep -qs '^VERSION_ID="12"' "${KNETSTAT_OS_RELEASE:-/etc/os-release}"; then
		echo "rustc-web rust-web-src"
	else
		echo "rustc rust-src"
	fi
}

# have_gcc NAME: whether there is that compiler, also as NAME-14, which is what Debian's headers
# bring.
have_gcc() { have "$1" || [ -n "$(compgen -c "$1-")" ]; }

# bindgen_works: whether bindgen finds its libclang, which it looks for only when it has work to do.
bindgen_works() {
	local dir rc=0
	dir=$(mktemp -d)
	echo 'int x;' >"$dir/x.h"
	"${BINDGEN:-bindgen}" "$dir/x.h" >/dev/null 2>&1 || rc=1
	rm -rf "$dir"
	return "$rc"
}

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
		mend="run: $(apt_install rustc)"
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
