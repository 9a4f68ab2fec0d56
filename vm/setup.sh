#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes what the guests need, ahead of their first use.
#
# usage: vm/setup.sh [root|uml|debug|debian]...    default: everything
#        vm/setup.sh --clean                       remove all of it

. "$(dirname "$0")/lib.sh"

if [[ ${1:-} == --clean ]]; then
	[[ $(id -u) -eq 0 ]] || die "this needs root; run it as: sudo make vm-clean"
	[[ -d $CACHE ]] || exit 0
	[[ -e $CACHE/use.lock ]] || die "refusing to clean $CACHE: no set-up of ours made it"
	lock_alone
	for thing in "$CACHE"/{root,linux,uml,debug,debian}-* "$CACHE"/{module,run,cargo,target,log}; do
		remove_tree "$thing"
	done
	note "removed what the guests need from $CACHE"
	exit 0
fi

[[ $# -gt 0 ]] || set -- debian uml debug
for thing; do
	[[ $thing == root ]] || check_kernel_name "$thing"
done
"$VM/root.sh" > /dev/null
for thing; do
	[[ $thing == root ]] || "$VM/kernel.sh" "$thing" > /dev/null
done
note "ready: $*"
