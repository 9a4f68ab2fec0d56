#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the Rust metadata of an installed kernel from its own source package,
# for distributions whose headers packages have none (Debian).
#
# The result is a kernel build tree: the source, configured as the kernel
# image was, with `make modules_prepare` done, and the Module.symvers of the
# headers package. A module that is built there loads into that very image.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
RUST=kernel

usage() {
	cat <<'EOF'
rust-metadata.sh [--release REL] [--source FILE|DIR] [--output DIR] [--install] [--force]

Makes the Rust metadata of an installed kernel, to build knetstat with.
Takes about two minutes, and 2 GB of disk while it runs.

  --release REL   the kernel; default: the running one (uname -r)
  --source FILE   its source, a tar file or a directory;
                  default: what the package linux-source-X.Y has in /usr/src
  --output DIR    where to put it; default: /var/cache/knetstat/metadata/REL,
                  or ~/.cache/knetstat/metadata/REL for other users than root
                  (KNETSTAT_CACHE=DIR: DIR/metadata/REL)
  --install       install the packages that are missing (apt-get, as root)
  --force         make it again even if it is there

RUSTC and BINDGEN are the tools to use, if not those of the distribution.
EOF
}

step() { printf '%s\n' "$*"; }

release='' source='' output='' install='' force=''
while [ $# -gt 0 ]; do
	case $1 in
	--release | --source | --output)
		[ $# -gt 1 ] || die "$1 wants a value; see: $0 --help"
		printf -v "${1#--}" %s "$2"
		shift 2
		;;
	--install) install=1; shift ;;
	--force) force=1; shift ;;
	-h | --help) usage; exit ;;
	*) die "unknown argument $1; see: $0 --help" ;;
	esac
done
release=${release:-$(uname -r)}
if [ -z "$output" ]; then
	read -r output < <(metadata_dirs "$release") || die "where to? Give a place: --output DIR"
fi
version=$(version_of "$release")
headers=/lib/modules/$release/build
kver=
if [ "$release" != "$(uname -r)" ]; then
	kver=" KVER=$release"
fi
if [[ ! $version =~ ^[0-9]+\.[0-9]+$ ]]; then
	die "\"$release\" is no kernel release; see: uname -r"
fi

# What is there already? The file says which package it was made for.
package=$(kernel_package "$release")
if [ -z "$force" ] && [ -f "$output/$stamp" ] &&
	[ "$(sed -n 's/^package=//p' "$output/$stamp")" = "$package" ]; then
	step "The Rust metadata of Linux $release are in $output already."
	exit 0
fi
if [ -z "$force" ] && [ -f "$headers/rust/libkernel.rmeta" ]; then
	step "The headers of Linux $release have their Rust metadata, nothing is to be made. Run: make"
	exit 0
fi
if [ -e "$output" ] && [ ! -f "$output/$stamp" ] && [ -n "$(ls -A "$output")" ]; then
	die "$output is not empty and was not made by this script; remove it, or give another: --output DIR"
fi

# The kernel itself.
if older "$version" "$(oldest_kernel)"; then
	die "Linux $release is too old, knetstat needs $(oldest_kernel) or later; $(get_a_kernel)"
fi
config=$(kernel_config "$release")
if [ -z "$config" ] && [ -r "$headers/.config" ]; then
	config=$headers/.config
fi
if [ -n "$config" ] && [ "$(config_value "$config" RUST)" != y ]; then
	die "Linux $release was built without Rust (CONFIG_RUST is off), take a kernel that has it; $(get_a_kernel)"
fi

# The packages it takes. Each is looked for by what it brings, so that other
# ways to have it do as well.
has_header() { echo "#include <$1>" | gcc -E -o /dev/null - 2>/dev/null; }
rust_src() {
	local rustc
	rustc=$(find_rustc "$(config_value "${config:-/dev/null}" RUSTC_VERSION_TEXT)")
	[ -n "$rustc" ] &&
		[ -f "${RUST_LIB_SRC:-$("$rustc" --print sysroot)/lib/rustlib/src/rust/library}/core/src/lib.rs" ]
}
needs() {
	local tar=/usr/src/linux-source-$version.tar.xz
	have make || echo make
	have gcc || echo gcc
	have flex || echo flex
	have bison || echo bison
	have bc || echo bc
	have perl || echo perl
	have python3 || echo python3
	has_header gelf.h || echo libelf-dev
	has_header openssl/evp.h || echo libssl-dev
	if [ ! -f "$headers/Module.symvers" ]; then
		echo "linux-headers-$release"
	fi
	if [ -z "$source" ]; then
		[ -f "$tar" ] || echo "linux-source-$version${package:+=$package}"
		have xz || echo xz-utils
	fi
	[ -n "$(find_rustc '')" ] || echo rustc
	if [ -z "$(find_rustc '')" ] || ! rust_src; then
		echo rust-src
	fi
	if ! have "${BINDGEN:-bindgen}"; then
		echo bindgen
		echo libclang-dev
	elif ! bindgen_works; then
		echo libclang-dev
	fi
	# pahole decides whether CONFIG_DEBUG_INFO_BTF survives, which decides the layout of struct module.
	if [ -n "$config" ] && [ "$(config_value "$config" DEBUG_INFO_BTF)" = y ]; then
		have pahole || echo pahole
	fi
}
mapfile -t missing < <(needs)
if [ ${#missing[@]} -gt 0 ] && [ -n "$install" ]; then
	have apt-get || die "there is no apt-get here; install by hand what stands for: ${missing[*]}"
	[ "$(id -u)" = 0 ] || die "packages are missing, and only root can install them; run: $(apt_install "${missing[@]}")"
	step "Installing ${missing[*]}"
	apt-get install --yes --no-install-recommends "${missing[@]}" ||
		die "apt-get could not install: ${missing[*]}; if the archive has a newer kernel by now, upgrade to it (apt install -t trixie-backports linux-image-amd64 linux-headers-amd64), reboot, and run this again"
	mapfile -t missing < <(needs)
fi
if [ ${#missing[@]} -gt 0 ]; then
	die "packages are missing; run: $(apt_install "${missing[@]}"), or have it done: make metadata INSTALL=1$kver"
fi
config=$(kernel_config "$release")
config=${config:-$headers/.config}
[ -r "$config" ] || die "no configuration of Linux $release (/boot/config-$release); run: $(apt_install "linux-image-$release")"

# The source: of the very version of the kernel image.
package=$(kernel_package "$release")
if [ -z "$source" ]; then
	source=/usr/src/linux-source-$version.tar.xz
	source_package=$(package_version "linux-source-$version")
	if [ -n "$package" ] && [ -n "$source_package" ] && [ "$package" != "$source_package" ]; then
		die "the kernel is $package, but linux-source-$version is $source_package; run: $(apt_install "linux-source-$version=$package"), or upgrade the kernel to $source_package and reboot"
	fi
fi
[ -e "$source" ] || die "$source does not exist; give the source of Linux $release: --source FILE|DIR"

# The compilers: the kernel's own.
text=$(config_value "$config" RUSTC_VERSION_TEXT)
rustc=$(find_rustc "$text")
if [ "$(rustc_text "$rustc")" != "$text" ]; then
	wrong_rustc "$rustc" "$text" "$release"
fi
cc=$(config_value "$config" CC_VERSION_TEXT)
cc=${cc%% *}
have "${cc:-gcc}" || cc=gcc

mkdir -p "$(dirname "$output")" || die "cannot make $(dirname "$output"); run this as root, or give another place: --output DIR"
free=$(df -Pk "$(dirname "$output")" | awk 'NR == 2 { print int($4 / 1024) }')
if [ "$free" -lt 2000 ]; then
	die "$(dirname "$output") has $free MB free, 2000 are needed; make room, or give another place: --output DIR"
fi

work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"

# Of the source, all headers and Kconfig files, and the C files that
# modules_prepare compiles. Those of the drivers and the like it does not
# read, and they are nine tenths of it. Should a kernel to come want one of
# these, modules_prepare fails and says which.
leave_out=(
	'Documentation/*.rst' 'Documentation/*.yaml' 'Documentation/*.txt' 'Documentation/*.svg'
	'drivers/*.c' 'drivers/gpu/drm/amd/*.h'
	'fs/*.c' 'net/*.c' 'sound/*.c' 'crypto/*.c' 'samples/*.c' 'tools/testing/*.[chS]' 'tools/perf/*'
	'arch/*.dts' 'arch/*.dtsi'
)
step "Unpacking $source"
if [ -d "$source" ]; then
	tar -C "$source" --exclude-vcs --exclude='*.o' --exclude='*.ko' -cf - . | tar -C "$work" -xf -
else
	top=$(tar -tf "$source" 2>/dev/null | head -n 1) || true
	top=${top%%/*}
	[ -n "$top" ] || die "$source is no tar file; give the source of Linux $release: --source FILE|DIR"
	tar -C "$work" --strip-components=1 --anchored --wildcards --wildcards-match-slash \
		"${leave_out[@]/#/--exclude=$top/}" -xf "$source" ||
		die "cannot unpack $source into $work; is there room on the disk?"
fi
[ -f "$work/rust/Makefile" ] || die "$source is no kernel source with Rust; give that of Linux $release: --source FILE|DIR"

# From here on the kernel's own make, in an environment of its own.
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES KBUILD_OUTPUT KBUILD_EXTMOD
log=$work/knetstat-metadata.log
mk() {
	make -C "$work" -j"$(nproc)" --no-print-directory CC="$cc" RUSTC="$rustc" HOSTRUSTC="$rustc" \
		${BINDGEN:+BINDGEN="$BINDGEN"} LOCALVERSION="$localversion" "$@"
}
failed() {
	grep -iE -m 20 'error|not found|\*\*\*' "$log" >&2 || tail -n 20 "$log" >&2
	cp "$log" "$output.log"
	die "$1; the whole log is $output.log"
}

# The release is the source's version and what the distribution adds.
localversion=''
if [ -e "$work/.config" ] || [ -e "$work/include/config" ]; then
	mk mrproper >/dev/null 2>&1 || true
fi
kernelversion=$(mk -s kernelversion 2>/dev/null) || die "$source has no working Makefile; give the source of Linux $release: --source FILE|DIR"
localversion=${release#"$kernelversion"}
if [ "$localversion" = "$release" ] || [[ $localversion = [0-9.]* ]]; then
	die "$source is Linux $kernelversion, not the source of $release; run: $(apt_install "linux-source-$version${package:+=$package}")"
fi

# Without the keys that only the distribution has, so that nothing is signed with them.
step "Configuring Linux $kernelversion as $config has it"
grep -vE '^CONFIG_(MODULE_SIG_ALL|MODULE_SIG_KEY|SYSTEM_TRUSTED_KEYS)=' "$config" >"$work/.config"
echo '# CONFIG_MODULE_SIG_ALL is not set' >>"$work/.config"
mk olddefconfig >"$log" 2>&1 || failed "make olddefconfig failed"

# A tool that is missing makes Kconfig drop what depends on it, silently, and
# the module would be built for another kernel.
ignore='^CONFIG_(MODULE_SIG_ALL|MODULE_SIG_KEY|SYSTEM_TRUSTED_KEYS|BUILD_SALT)='
changed=$(comm -23 <(grep -E '^CONFIG_' "$config" | grep -vE "$ignore" | sort) \
	<(grep -E '^CONFIG_' "$work/.config" | sort) | tr '\n' ' ')
if [ -n "$changed" ]; then
	some=$(cut -d' ' -f1-3 <<<"$changed")
	case $changed in
	*CONFIG_RUST=y*)
		why=$(mk rustavailable 2>&1 | sed -n 's/^\*\*\* \+\(.*[^.]\)\.*$/\1/p' | head -n 1) || true
		die "the Rust tools do not suit Linux $release: ${why:-CONFIG_RUST was dropped}; run: $(apt_install --reinstall rustc rust-src bindgen libclang-dev)"
		;;
	*PAHOLE* | *BTF*) die "pahole is not that of Linux $release ($some); run: $(apt_install --reinstall pahole)" ;;
	*CC_VERSION* | *AS_VERSION* | *LD_VERSION*)
		die "the C tools are not those of Linux $release ($some); run: $(apt_install --reinstall gcc binutils)"
		;;
	*) die "the configuration of Linux $release does not survive: $some; is $source its source?" ;;
	esac
fi

step "Building the kernel's Rust crates (a minute or two)"
if [ -t 1 ]; then
	mk modules_prepare 2>&1 | tee "$log" |
		awk '/^  [A-Z]/ { printf "\r\033[K  %d  %.60s", ++n, $NF; fflush() } END { printf "\r\033[K" }'
else
	mk modules_prepare >"$log" 2>&1
fi || failed "make modules_prepare failed"
made=$(cat "$work/include/config/kernel.release")
[ "$made" = "$release" ] || die "$source makes Linux $made, not $release; give its source: --source FILE|DIR"
[ -f "$work/rust/libkernel.rmeta" ] || failed "modules_prepare made no rust/libkernel.rmeta"

# What the headers package has and the source does not: the symbols that the
# image exports, its types (BTF), and the compiler to build modules with.
cp "$headers/Module.symvers" "$work/"
if [ -f "$headers/vmlinux" ]; then
	cp "$headers/vmlinux" "$work/"
fi
if [ -f "$headers/.kernelvariables" ]; then
	cp "$headers/.kernelvariables" "$work/"
fi

{
	echo "release=$release"
	echo "package=$package"
	echo "source=$source"
} >"$work/$stamp"
# What a module's build does not read any more: half of the disk space.
rm -rf "$work"/{Documentation,drivers,sound,fs,crypto,samples,tools/testing} "$work"/rust/*.o "$work"/rust/host

rm -rf "$output"
mv "$work" "$output"
trap - EXIT
step "The Rust metadata of Linux $release are in $output ($(du -sh "$output" | cut -f1))."
