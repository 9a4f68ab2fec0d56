# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that these scripts share. To be sourced.

# With it, `cd` may go elsewhere, and prints where.
unset CDPATH
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# die MESSAGE: ends the script with a line that says what is wrong and what corrects it.
die() {
	printf 'knetstat: %s\n' "$*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: prints the command as a user types it, if only root may run it.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		echo "$*"
	else
		echo "sudo $*"
	fi
}

# untilde DIR: DIR with the home directory for ~, which some shells leave as it is behind `PREFIX=`.
untilde() {
	# shellcheck disable=SC2088 # Not for this shell.
	case $1 in
	"~" | "~/"*) echo "$HOME${1#\~}" ;;
	*) echo "$1" ;;
	esac
}

# from_here DIR: a directory that the user named from the working directory, from the root directory; nothing for
# nothing. To be called before `cd` and before a program that has another working directory.
from_here() {
	local dir
	dir=$(untilde "$1")
	case $dir in
	"" | /*) echo "$dir" ;;
	*) echo "$PWD/$dir" ;;
	esac
}

# set_absolute NAME...: replaces ~ in these variables, and ends the script if one is no absolute path. They are the
# places of files in the system for which these are installed, below INSTALL_MOD_PATH or DESTDIR.
set_absolute() {
	local name
	for name; do
		[ -n "${!name:-}" ] || continue
		printf -v "$name" %s "$(untilde "${!name}")"
		case ${!name} in
		/*) ;;
		*) die "$name must be an absolute path, not '${!name}'" ;;
		esac
	done
}

# The directory of the kernels' modules and build trees. Tests have another one.
lib_modules=${KNETSTAT_LIB_MODULES:-/lib/modules}

# os_release NAME: the value of NAME in /etc/os-release without quotes, or nothing.
os_release() {
	sed -n "s/^$1=[\"']\{0,1\}\([^\"']*\)[\"']\{0,1\}\$/\1/p" "${KNETSTAT_OS_RELEASE:-/etc/os-release}" 2>/dev/null || true
}

# The oldest rustc for RUST=standalone and for the command.
# shellcheck disable=SC2034
oldest_rustc=1.85

# A distribution is one file, distributions/NAME.sh, and no other file names its packages. NAME is the
# ID in its /etc/os-release, or the ID_LIKE in that of a distribution which was derived from it.
#
# To add a distribution, copy the file of the most similar one. Each file defines all of these facts.
# Those in capitals are variables; RUST_PACKAGES and MAKEPKG_PACKAGES are arrays. The others are functions, which print
# one line. A fact that does not apply is an empty variable, an empty array, or a function that prints
# nothing: name() { :; }. A "command" is printed for a person to run, with as_root if it needs root.
#   MANAGER            the package manager, which identifies a distribution that has another name
#   RUST_PACKAGES      the packages with a rustc that is new enough and, last, the sources of `core`
#   RUST_INSTEAD       the command that installs these two, if RUST_PACKAGES is empty
#   CARGO_PACKAGE      the package with a cargo that is new enough; empty if RUST_INSTEAD installs it
#   KERNEL_RUSTC_PACKAGE  the package with the rustc that its kernels are built with
#   LIBC_PACKAGE       the package with libc.a
#   RPMBUILD_PACKAGE   the package with rpmbuild
#   MAKEPKG_PACKAGES   the packages with makepkg and what it calls
#   METADATA_SOURCE    the package with the kernel source for `make metadata`; empty if there is none
#   install_command    PACKAGE...: the command that installs packages
#   reinstall_command  PACKAGE...: the command that installs them again
#   headers_package    RELEASE: the package with the headers of a kernel
#   cross_gcc_package  TARGET: the package with a C compiler for aarch64-linux-gnu or the like
#   tool_package       TOOL: the package with clippy-driver, rustdoc or rustfmt
#   rust_library_of    VERSION: where the sources of `core` may be beside rustc's sysroot
#   metadata_command   RELEASE: the command that adds Rust metadata to the headers, if there is one
#   newest_kernel      how to get a kernel and a rustc of one release, if there is a way

# distribution: the NAME of the distribution here. If ID and ID_LIKE name none of the files, its package
# manager decides. If there are several managers, the first by the alphabet counts: Debian packages
# those of others, and apt-get comes before them.
distribution() {
	local name manager
	for name in $(os_release ID) $(os_release ID_LIKE); do
		if [ -f "$scripts/distributions/$name.sh" ]; then
			echo "$name"
			return
		fi
	done
	while read -r manager name; do
		if have "$manager"; then
			echo "$name"
			return
		fi
	done < <(managers)
	echo debian
}

# managers: the package managers and the files that name them, by the alphabet.
managers() {
	local name
	for name in "$scripts"/distributions/*.sh; do
		name=$(basename "$name" .sh)
		sed -n "s/^MANAGER=\(.*\)/\1 $name/p" "$scripts/distributions/$name.sh"
	done | sort
}

# shellcheck source=scripts/distributions/debian.sh
. "$scripts/distributions/$(distribution).sh"

# oldest_kernel: the oldest kernel that is supported with this RUST=.
# shellcheck disable=SC2153 # RUST is the caller's variable, not a misspelling of RUSTC.
oldest_kernel() { sed -n "s/^$RUST //p" "$scripts/supported-kernels" | head -n 1; }

# older A B: whether version A is older than B.
older() { [ "$1" != "$2" ] && sort -VC <<<"$1"$'\n'"$2"; }

# version_of RELEASE: 7.3 from 7.3.4+deb13-amd64.
version_of() { sed -E 's/^([0-9]+\.[0-9]+).*/\1/' <<<"$1"; }

# config_value FILE NAME: the value of CONFIG_NAME, without quotes; nothing if it is not set.
config_value() { sed -n "s/^CONFIG_$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1"; }

# tree_release KDIR: the release of a build tree, as uname -r prints it. (In Debian 12's headers,
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

# kernel_config RELEASE: the file with the configuration of an installed kernel image, or nothing.
kernel_config() {
	local f
	for f in "/boot/config-$1" "$lib_modules/$1/config" "/usr/lib/modules/$1/config"; do
		if [ -r "$f" ]; then
			echo "$f"
			return
		fi
	done
}

# rustc_text RUSTC: its CONFIG_RUSTC_VERSION_TEXT.
rustc_text() { "$1" --version 2>/dev/null | tr -d '#' || true; }

# real_rustc RUSTC: the path of this compiler or, for a proxy of rustup, of the compiler behind it; nothing if there
# is none. A proxy goes by the working directory, and may choose another compiler when Kbuild calls it. In the
# checkout, it would choose by rust-toolchain.toml, which is for the tests and the command.
real_rustc() {
	local rustc sysroot
	rustc=$(command -v "$1") || return 0
	rustc=$(from_here "$rustc")
	# Without a default toolchain, a proxy works in the checkout only.
	sysroot=$(cd / && "$rustc" --print sysroot 2>/dev/null) || sysroot=$("$rustc" --print sysroot 2>/dev/null) || true
	if [ -n "$sysroot" ] && [ -x "$sysroot/bin/rustc" ]; then
		echo "$sysroot/bin/rustc"
	else
		echo "$rustc"
	fi
}

# named_rustc: the compiler that the user named by RUSTC. It may be a script around a compiler, so that only a proxy
# of rustup is replaced by what is behind it.
named_rustc() {
	local named real
	named=$(untilde "$RUSTC")
	real=$(real_rustc "$named")
	case $real in
	*/toolchains/*) echo "$real" ;;
	*)
		named=$(command -v "$named") || return 0
		from_here "$named"
		;;
	esac
}

# rustcs: the installed compilers: the system's first; those with a version in their names, as in Ubuntu,
# last.
rustcs() {
	local rustc
	for rustc in "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}" rustc $(compgen -c rustc-1. | sort -urV); do
		if have "$rustc"; then
			real_rustc "$rustc"
		fi
	done
}

# find_rustc TEXT: the compiler whose version text is TEXT, or else the first one, or nothing. If the user
# set RUSTC, it is that one.
find_rustc() {
	local rustc first=
	if [ -n "${RUSTC:-}" ]; then
		named_rustc
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

# rustc_release RUSTC: its version, such as 1.85, or nothing if it does not run.
rustc_release() { "$1" --version 2>/dev/null | sed -nE 's/^rustc ([0-9]+\.[0-9]+).*/\1/p' || true; }

# rust_library RUSTC: the directory in which the sources of its `core` are, or should be.
rust_library() {
	local sysroot library other
	sysroot=$("$1" --print sysroot 2>/dev/null) || true
	library=${sysroot:-/no-sysroot}/lib/rustlib/src/rust/library
	# As in rust/standalone.mk.
	other=$(rust_library_of "$("$1" --version 2>/dev/null | cut -d' ' -f2 || true)")
	if [ ! -d "$library" ] && [ -d "$other" ]; then
		library=$other
	fi
	echo "${RUST_LIB_SRC:-$library}"
}

# find_standalone_rustc: the first compiler that is new enough and has the sources of `core`, or else the
# first one, or nothing. If the user set RUSTC, it is that one.
find_standalone_rustc() {
	local rustc version first=
	if [ -n "${RUSTC:-}" ]; then
		named_rustc
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

# install_rust [--reinstall | --sources]: the command that installs a rustc that is new enough and its
# sources, or the sources only.
install_rust() {
	if [ ${#RUST_PACKAGES[@]} = 0 ]; then
		echo "$RUST_INSTEAD"
		return
	fi
	case ${1:-} in
	--sources) install_command "${RUST_PACKAGES[-1]}" ;;
	--reinstall) reinstall_command "${RUST_PACKAGES[@]}" ;;
	*) install_command "${RUST_PACKAGES[@]}" ;;
	esac
}

# install_cargo HOW: the command that installs a cargo that is new enough, by install_command or
# reinstall_command.
install_cargo() {
	if [ -z "$CARGO_PACKAGE" ]; then
		echo "$RUST_INSTEAD"
	else
		"$1" "$CARGO_PACKAGE"
	fi
}

# have_gcc NAME: whether this compiler is installed, or one such as NAME-14, on which Debian's headers
# depend.
have_gcc() { have "$1" || [ -n "$(compgen -c "$1-")" ]; }

# package_version PACKAGE: the installed version, according to dpkg, or nothing.
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

# metadata_dirs RELEASE: the directories that may have the Rust metadata of a kernel. `make metadata` uses
# the first.
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

# wrong_rustc RUSTC TEXT RELEASE: ends the script, because RUSTC did not build the kernel.
wrong_rustc() {
	local found mend newest
	found=$(rustc_text "$1")
	newest=$(newest_kernel)
	if [ -n "${RUSTC:-}" ]; then
		mend="omit RUSTC, or set it to that compiler: RUSTC=FILE"
	elif ! have "${KNETSTAT_SYSTEM_RUSTC:-/usr/bin/rustc}"; then
		mend="run: $(install_command "$KERNEL_RUSTC_PACKAGE")"
	elif [ -z "$newest" ]; then
		mend="build with any rustc: make RUST=standalone; or set RUSTC to that compiler: RUSTC=FILE"
	else
		mend="get a kernel and the rustc that built it: $newest; or set RUSTC to that compiler: RUSTC=FILE"
	fi
	if [ -z "$found" ]; then
		die "$1 does not run, and Linux $3 was built with \"$2\"; $mend"
	fi
	die "$1 is \"$found\", but Linux $3 was built with \"$2\"; $mend"
}

# The file that marks a complete tree of metadata.
# shellcheck disable=SC2034
stamp=.knetstat-metadata
