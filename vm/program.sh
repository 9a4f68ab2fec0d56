#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a program of tests/, or the command of tools/, for a guest, and prints its path. The program is
# static, because the guest may have other libraries than the root in which it is built.
#
# usage: vm/program.sh [--dev] PACKAGE KERNEL
#   --dev   use cargo's profile for development: optimizing a program that runs a few times takes longer
#           than it saves

. "$(dirname "$0")/lib.sh"

profile=release
if [[ ${1:-} == --dev ]]; then
	profile=dev
	shift
fi
[[ $# -eq 2 ]] || die_usage "usage: vm/program.sh [--dev] PACKAGE KERNEL"
package=$1
workspace=tests
[[ ! -d $TOP/tools/$package ]] || workspace=tools
load_guest "$2"

ROOT=$("$VM/root.sh")
check_host
find_architecture "$ARCH"
root=$ROOT target=$arch_rust
if [[ $ARCH != amd64 ]]; then
	# The root for its modules also has the compilers for programs.
	DIR=$("$VM/kernel.sh" "$KERNEL")
	root=$(machine_root)
	export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<< "$target")_LINKER=$arch_machine-linux-gnu-gcc"
fi
lock_use
cargo_settings

step "building $package for $ARCH" "$package-$ARCH" '' "$package does not build" \
	in_root_at "$root" build env -C "$IN_TOP" RUSTFLAGS="$STATIC" cargo build --locked --profile "$profile" \
	--manifest-path "$workspace/Cargo.toml" -p "$package" --target "$target"
printf '%s\n' "$CARGO_TARGET/$target/${profile/dev/debug}/$package"
