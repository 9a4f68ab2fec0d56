#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks whether knetstat can be built in the kernel build tree KDIR. If so, prints the rustc to build
# with. If not, says in one line what is wrong and which command corrects it, and exits with 1.
#
# usage: check-kdir.sh [KDIR [RELEASE]]
#
# The environment has KDIR and KVER, if the arguments are not given; RUSTC, to choose a compiler; and
# RUST: "kernel" (build with the kernel's own Rust), "standalone" (without it, see rust/README.md), or
# empty for Kbuild's default.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/architectures.sh
. "$scripts/architectures.sh"

kdir=${1:-${KDIR:?}}
release=${2:-${KVER:-$(uname -r)}}
default=$lib_modules/$release/build
autoconf=$kdir/include/config/auto.conf
if [ -z "${RUST:-}" ]; then
	RUST=standalone
	if [ -f "$autoconf" ] && [ "$(config_value "$autoconf" UML)" = y ]; then RUST=kernel; fi
fi
case $RUST in
kernel | standalone) ;;
# The former name.
own) RUST=standalone ;;
*) die "RUST must be kernel or standalone, not '$RUST'" ;;
esac

# Kbuild and make would misread these characters.
checkout=$(cd "$scripts/.." && pwd -P)
unfit='][[:space:]"$`&();<>|*?#%:,!'"\\\\'"
case $checkout in
*[$unfit]*) die "make cannot build in a directory whose path contains a blank or one of \"'\\\$\`&();<>|*?#%:,![]; move the checkout from $checkout" ;;
esac

# known_kernel: how to get a kernel that is known to be supported.
known_kernel() (
	# shellcheck source=scripts/distributions/debian.sh
	. "$scripts/distributions/debian.sh"
	echo "on Debian 13: $(newest_kernel)"
)

too_old() {
	local version
	version=$(version_of "$1")
	if [[ $version =~ ^[0-9]+\.[0-9]+$ ]] && older "$version" "$(oldest_kernel)"; then
		if [ "$RUST" = standalone ]; then
			die "Linux $1 is too old, knetstat needs $(oldest_kernel) or later; upgrade to a newer release of the distribution"
		elif ! older "$version" "$(RUST=standalone oldest_kernel)"; then
			die "Linux $1 is too old for RUST=kernel, which needs $(oldest_kernel) or later; build without the kernel's Rust: make RUST=standalone"
		fi
		die "Linux $1 is too old, knetstat needs $(oldest_kernel) or later; $(known_kernel)"
	fi
}

no_rust() {
	die "Linux $1 was built without Rust (CONFIG_RUST is off); build without the kernel's Rust: make RUST=standalone"
}

# No headers. If they could not help, say so at once.
if [ ! -d "$kdir" ] && [ "$kdir" = "$default" ]; then
	too_old "$release"
	config=$(kernel_config "$release")
	if [ "$RUST" = kernel ] && [ -n "$config" ] && [ "$(config_value "$config" RUST)" != y ]; then
		no_rust "$release"
	fi
	# An upgrade has removed the modules of the running kernel, as on Arch. Its headers are no longer to be had.
	if [ "$release" = "$(uname -r)" ] && [ ! -e "$lib_modules/$release/kernel" ]; then
		newer=$(for tree in "$lib_modules"/*/build/Makefile; do
			[ ! -e "$tree" ] || basename "${tree%/build/Makefile}"
		done | sort -rV | sed -n 1p)
		[ -z "$newer" ] || die "there are no modules of the running Linux $release, as after an upgrade; reboot, or build for another kernel: make KVER=$newer"
	fi
	die "no headers of Linux $release ($kdir is missing); run: $(install_command "$(headers_package "$release")")"
fi
if [ ! -d "$kdir" ]; then
	die "$kdir does not exist; set KDIR to a kernel's build tree: make KDIR=DIR, or omit it to build for Linux $release"
fi

# KDIR must be a tree that modules can be built in.
no_tree() {
	if [ "$kdir" = "$default" ]; then
		die "$kdir is no kernel build tree ($1 is missing); run: $(reinstall_command "$(headers_package "$release")")"
	fi
	die "$kdir is no kernel build tree ($1 is missing); set KDIR to one: make KDIR=DIR, or omit it to build for Linux $release"
}
kdir_release=$(tree_release "$kdir")
[ -f "$kdir/Makefile" ] || no_tree Makefile
if [ -f "$kdir/Kconfig" ] && [[ ! -f $autoconf || -z $kdir_release ]]; then
	die "$kdir is a kernel source tree that is not configured or prepared; run: make -C $kdir olddefconfig modules_prepare"
fi
[ -f "$autoconf" ] || no_tree include/config/auto.conf
[ -n "$kdir_release" ] || no_tree include/config/kernel.release

if [ "$RUST" = kernel ] && [ "$(config_value "$autoconf" RUST)" != y ]; then
	no_rust "$kdir_release"
fi
too_old "$kdir_release"

# The user must ask for a kernel of another architecture, and have the compiler for it.
um=$(config_value "$autoconf" UML)
machine=$(uname -m)
# headers_say NAME: the architecture or the C compiler that Debian's headers name.
headers_say() { sed -n "s/^override $1 = \([a-z0-9_-]*\)\$/\1/p" "$kdir/.kernelvariables" 2>/dev/null || true; }
# kernel_architecture: sets the names of the kernel's architecture, as find_architecture does, except that of
# rustc's target.
kernel_architecture() {
	while read -r arch_debian arch_kbuild arch_machine arch_config _; do
		[ "$(config_value "$autoconf" "$arch_config")" != y ] || return 0
	done < <(architectures)
	return 1
}
# for_arch NAME MACHINE ARCH: ends the script unless modules can be built here for the architecture NAME,
# which uname calls MACHINE and Kbuild calls ARCH.
for_arch() {
	local arch=${ARCH:-} cross=${CROSS_COMPILE:-} takes=()
	case $arch in i386 | x86_64) arch=x86 ;; esac
	if [ "${arch:-$3}" != "$3" ]; then
		die "Linux $kdir_release is for $1, not for ARCH=$ARCH; omit ARCH, or choose another tree: make KDIR=DIR"
	fi
	[ "$machine" != "$2" ] || return 0
	arch=${arch:-$(headers_say ARCH)}
	cross=${cross:-$(headers_say CROSS_COMPILE)}
	[ -n "$arch" ] || takes+=("ARCH=$3")
	[ -n "$cross${LLVM:-}" ] || takes+=("CROSS_COMPILE=$2-linux-gnu-")
	if [ ${#takes[@]} != 0 ]; then
		die "Linux $kdir_release is for $1, and this machine is $machine; building for $1 here needs ${takes[*]}"
	fi
	CROSS_COMPILE=$cross
}
if [ "$um" = y ]; then
	:
elif kernel_architecture; then
	for_arch "$arch_debian" "$arch_machine" "$arch_kbuild"
elif [ "$(config_value "$autoconf" 64BIT)" != y ]; then
	die "Linux $kdir_release is a 32-bit kernel; knetstat is for $(architecture_names)"
elif [ "$RUST" = standalone ]; then
	die "Linux $kdir_release is for another architecture; knetstat is for $(architecture_names)"
fi

# clang instruments only C code for KMSAN, so KMSAN takes all that Rust code writes for uninitialized.
if [ "$(config_value "$autoconf" KMSAN)" = y ]; then
	die "Linux $kdir_release has CONFIG_KMSAN, which does not see what Rust code writes and would report each read of knetstat's files; build for a kernel without CONFIG_KMSAN"
fi

# gcc would get flags that only clang has, and some checks of the configuration would be wrong.
if [ -z "${LLVM:-}${CC:-}" ] && [ "$(config_value "$autoconf" CC_IS_CLANG)" = y ]; then
	die "Linux $kdir_release was compiled by clang; run: make LLVM=1"
fi

# Any compiler that is new enough will do, with its sources of `core`.
if [ "$RUST" = standalone ]; then
	if [ "$um" = y ]; then
		die "RUST=standalone does not support User Mode Linux; build with the kernel's own Rust: make RUST=kernel"
	fi
	# Before 6.18, the option was named CFI_CLANG.
	if [ -n "$(config_value "$autoconf" CFI)$(config_value "$autoconf" CFI_CLANG)" ]; then
		die "Linux $kdir_release checks the types of the functions it calls (CONFIG_CFI), and only its own Rust generates these; if it has CONFIG_RUST, build with that: make RUST=kernel"
	fi
	gcc=${CROSS_COMPILE:-}gcc
	if [ -z "${LLVM:-}${CC:-}" ] && [ "$(config_value "$autoconf" CC_IS_GCC)" = y ] && ! have_gcc "$gcc"; then
		case $gcc in
		gcc) mend="run: $(install_command gcc)" ;;
		*/*) mend="set CROSS_COMPILE to the C compiler's name without gcc: CROSS_COMPILE=PREFIX" ;;
		*) mend="run: $(install_command "$(cross_gcc_package "${CROSS_COMPILE%-}")")" ;;
		esac
		die "$gcc is missing; $mend"
	fi
	rustc=$(find_standalone_rustc)
	[ -n "$rustc" ] || die "${RUSTC:-rustc} is missing; run: $(install_rust)"
	version=$(rustc_release "$rustc")
	[ -n "$version" ] || die "$rustc does not run; run: $(install_rust --reinstall)"
	if older "$version" "$oldest_rustc"; then
		die "$rustc is version $version, knetstat needs $oldest_rustc or later; run: $(install_rust), or choose another one: RUSTC=FILE"
	fi
	library=$(rust_library "$rustc")
	if [ ! -f "$library/core/src/lib.rs" ]; then
		case $library in
		*/toolchains/*)
			mend=${library%/lib/rustlib/*}
			mend="rustup component add --toolchain ${mend##*/} rust-src"
			;;
		*) mend=$(install_rust --sources) ;;
		esac
		die "the sources of core are missing ($library); run: $mend"
	fi
	echo "$rustc"
	exit
fi

# The compiler must be the very one that built the kernel.
text=$(config_value "$autoconf" RUSTC_VERSION_TEXT)
rustc=$(find_rustc "$text")
if [ -z "$rustc" ]; then
	# shellcheck disable=SC2031 # Only known_kernel is to have another distribution's facts.
	die "${RUSTC:-rustc} is missing, and Linux $kdir_release was built with $text; run: $(install_command "$KERNEL_RUSTC_PACKAGE")"
fi
if [ "$(rustc_text "$rustc")" != "$text" ]; then
	wrong_rustc "$rustc" "$text" "$kdir_release"
fi

# The Rust side of the headers. Some distributions have it in the headers package, some in a package
# of its own, and Debian has none: `make metadata` makes it.
missing=
for f in rust/libcore.rmeta rust/libkernel.rmeta; do
	if [ ! -f "$kdir/$f" ]; then
		missing=$f
		break
	fi
done
if [ -n "$missing" ]; then
	if [ -f "$kdir/rust/Makefile" ]; then
		mend="make -C $kdir RUSTC=$rustc modules_prepare"
	else
		mend=$(metadata_command "$kdir_release")
	fi
	die "the headers of Linux $kdir_release lack the Rust metadata ($missing); run: ${mend:-make RUST=standalone, which needs none}"
fi

# Metadata that rust-metadata.sh made must be for the package that is installed now.
if [ -f "$kdir/$stamp" ]; then
	made=$(sed -n 's/^package=//p' "$kdir/$stamp")
	now=$(kernel_package "$kdir_release")
	if [ -n "$made" ] && [ -n "$now" ] && [ "$made" != "$now" ]; then
		die "the Rust metadata are for the kernel package $made, but $now is installed; run: make metadata KVER=$kdir_release"
	fi
fi

echo "$rustc"
