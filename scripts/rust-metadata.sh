#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the Rust metadata of an installed kernel, for make RUST=kernel: Debian's headers packages have none.
#
# usage: rust-metadata.sh RELEASE [--output DIR]
#   --output DIR   make them in DIR rather than where default-kdir.sh looks for them
#
# The result is a kernel build tree: the source package of the kernel, configured like the kernel image,
# after `make modules_prepare`, with the Module.symvers of the headers package. A module that is built
# there loads into that image. RUSTC is the compiler, if not the distribution's.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# For oldest_kernel.
RUST=kernel

case $#:${2:-} in
1:) read -r output < <(metadata_dirs "$1") || die "there is no directory for the metadata; choose one: --output DIR" ;;
3:--output) output=$3 ;;
*) die "usage: $0 RELEASE [--output DIR]" ;;
esac
release=$1
version=$(version_of "$release")
headers=$lib_modules/$release/build
source=${KNETSTAT_USR_SRC:-/usr/src}/$METADATA_SOURCE-$version.tar.xz
if [[ ! $version =~ ^[0-9]+\.[0-9]+$ ]]; then
	die "\"$release\" is not a kernel release; see: uname -r"
fi
if [ -e "$output" ] && [ ! -f "$output/$stamp" ]; then
	die "$output was not made by this script; remove it, or choose another directory: --output DIR"
fi

# The kernel itself.
if [ -z "$METADATA_SOURCE" ]; then
	die "only Debian has the package that the metadata are made from; build without the kernel's Rust: make RUST=standalone"
fi
if older "$version" "$(oldest_kernel)"; then
	die "Linux $release is too old for RUST=kernel, which needs $(oldest_kernel) or later; build without the kernel's Rust: make RUST=standalone"
fi
config=$(kernel_config "$release")
if [ -n "$config" ] && [ "$(config_value "$config" RUST)" != y ]; then
	die "Linux $release was built without Rust (CONFIG_RUST is off); build without the kernel's Rust: make RUST=standalone"
fi

# The packages. If one is missing, Kconfig silently drops the options that depend on it.
package=$(kernel_package "$release")
missing=()
for name in make gcc flex bison bc perl python3 xz-utils libelf-dev libssl-dev pahole \
	rustc rust-src bindgen libclang-dev "linux-headers-$release" "$METADATA_SOURCE-$version${package:+=$package}"; do
	[ -n "$(package_version "${name%%=*}")" ] || missing+=("$name")
done
[ -n "$config" ] || missing+=("linux-image-$release")
if [ ${#missing[@]} != 0 ]; then
	die "packages are missing; run: $(install_command "${missing[@]}")"
fi
source_package=$(package_version "$METADATA_SOURCE-$version")
if [ "$source_package" != "$package" ]; then
	die "the kernel is $package, but $METADATA_SOURCE-$version is $source_package; run: $(install_command "$METADATA_SOURCE-$version=$package"), or upgrade the kernel to $source_package and reboot"
fi
text=$(config_value "$config" RUSTC_VERSION_TEXT)
rustc=$(find_rustc "$text")
if [ "$(rustc_text "$rustc")" != "$text" ]; then
	wrong_rustc "$rustc" "$text" "$release"
fi
cc=$(config_value "$config" CC_VERSION_TEXT)
cc=${cc%% *}
have "$cc" || cc=gcc

# Other users build with them, whatever the umask is.
umask 022

# All is made in another directory, which is renamed at the end.
mkdir -p "$(dirname "$output")" || die "cannot make $(dirname "$output"); run this as root, or choose another directory: --output DIR"
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work"
echo "Unpacking $source"
tar -C "$work" --strip-components=1 -xf "$source" || die "cannot unpack $source into $work; is there room for 2 GB?"

# The kernel's own make, without the variables of the make that called this script.
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES KBUILD_OUTPUT KBUILD_EXTMOD
mk() {
	make -C "$work" -j"$(nproc)" --no-print-directory CC="$cc" RUSTC="$rustc" HOSTRUSTC="$rustc" "$@"
}
logged() {
	if ! mk "$@" >"$output.log" 2>&1; then
		grep -iE -m 20 'error|\*\*\*' "$output.log" >&2 || true
		die "make $* failed; the log is $output.log"
	fi
}

# The release is the version of the source and a suffix of the distribution.
kernelversion=$(mk -s kernelversion)
export LOCALVERSION=${release#"$kernelversion"}

# Nothing is signed, because the distribution's keys are not available.
echo "Configuring Linux $release as $config has it"
keys='MODULE_SIG_ALL|MODULE_SIG_KEY|SYSTEM_TRUSTED_KEYS'
grep -vE "^CONFIG_($keys)=" "$config" >"$work/.config"
echo '# CONFIG_MODULE_SIG_ALL is not set' >>"$work/.config"
logged olddefconfig
lost=$(comm -23 <(grep -E '^CONFIG_' "$config" | grep -vE "^CONFIG_($keys|BUILD_SALT)=" | sort) \
	<(grep -E '^CONFIG_' "$work/.config" | sort) | sed -n 1,3p | paste -sd' ')
if [ -n "$lost" ]; then
	die "the tools here are not those that built Linux $release: its configuration would lose $lost; run: $(reinstall_command gcc binutils rustc rust-src bindgen libclang-dev pahole)"
fi
made=$(mk -s kernelrelease)
if [ "$made" != "$release" ]; then
	die "$METADATA_SOURCE-$version is the source of Linux $made, not of $release; run: $(reinstall_command "$METADATA_SOURCE-$version")"
fi

echo "Building the kernel's Rust crates (a minute or two)"
logged modules_prepare
if [ ! -f "$work/rust/libkernel.rmeta" ]; then
	die "make modules_prepare made no rust/libkernel.rmeta; the log is $output.log"
fi

# Files of the headers package that the source does not have: the symbols that the image exports, its
# types (BTF), and the compiler for modules.
cp "$headers/Module.symvers" "$work/"
for file in vmlinux .kernelvariables; do
	[ ! -f "$headers/$file" ] || cp "$headers/$file" "$work/"
done
# The build of a module does not read these, which take half of the disk space.
rm -rf "$work"/{Documentation,drivers,sound,fs,crypto,samples,tools/testing} "$work"/rust/*.o "$work"/rust/host
printf '%s\n' "release=$release" "package=$package" >"$work/$stamp"

rm -f "$output/$stamp"
rm -rf "$output" "$output.log"
mv "$work" "$output"
trap - EXIT
echo "The Rust metadata of Linux $release are in $output ($(du -sh "$output" | cut -f1))."
