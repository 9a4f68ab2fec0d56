#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the build root and the kernels of guests before their first use.
#
# usage: vm/setup.sh [root|KERNEL]...    (default: the guests of `make test`)
#        vm/setup.sh --clean             remove all that the scripts in vm/ have made

. "$(dirname "$0")/lib.sh"

if [[ ${1:-} == --clean ]]; then
	[[ $(id -u) -eq 0 ]] || die "this needs root; run it as: sudo make vm-clean"
	[[ -d $CACHE ]] || exit 0
	[[ -e $CACHE/use.lock ]] || die "refusing to clean $CACHE: vm/setup.sh did not make it"
	lock_alone
	sixteen=$(printf '[0-9a-f]%.0s' {1..16})
	# shellcheck disable=SC2231
	for thing in "$CACHE"/*-$sixteen "$CACHE"/*-$sixteen.{new,lock} "$CACHE"/{module,mutants,run,cargo,target,log}; do
		remove_tree "$thing"
	done
	note "removed the guests from $CACHE"
	exit 0
fi

# shellcheck disable=SC2046
[[ $# -gt 0 ]] || set -- $(tested_guests)
for thing; do
	[[ $thing == root ]] || check_kernel_name "$thing"
done
"$VM/root.sh" > /dev/null
for thing; do
	[[ $thing == root ]] || "$VM/kernel.sh" "$thing" > /dev/null
done
note "ready: $*"
