#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a guest's kernel and the build tree for its modules, in the cache, and prints their directory.
# vm/machines/ says how.
#
# usage: vm/kernel.sh [--find] KERNEL
#   --find   make nothing: fail if the directory is not in the cache

. "$(dirname "$0")/lib.sh"

usage="usage: vm/kernel.sh [--find] KERNEL"
if [[ ${1:-} == --find ]]; then
	FIND=yes
	shift
fi
[[ $# -eq 1 ]] || die_usage "$usage"
load_guest "$1"
ROOT=$("$VM/root.sh" ${FIND:+--find}) || exit
check_host
DIR=$CACHE/$KERNEL-$(machine_recipe | hash_of)

make_kernel() {
	note "making the $KERNEL kernel, $DIR"
	mkdir -p "$DIR"
	machine_make
}

prune_kernels() {
	if [[ $MACHINE == qemu ]]; then
		# The root of a release is large, and is made again within minutes.
		prune "$KERNEL" 1
	else
		prune "$KERNEL"
		prune linux
	fi
}

make_once "$DIR" "$DIR" 4 make_kernel prune_kernels
