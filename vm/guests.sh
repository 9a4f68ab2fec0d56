#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Lists the guests, each with a description, and whether its kernel is in the cache.
#
# usage: vm/guests.sh

. "$(dirname "$0")/lib.sh"

for name in $(guest_names); do
	load_guest "$name"
	if ROOT=$("$VM/root.sh" --find 2> /dev/null) && DIR=$("$VM/kernel.sh" --find "$name" 2> /dev/null); then
		state="Linux $(machine_release), in the cache"
	else
		state="not in the cache; to make it: make vm-setup KERNEL=$name"
	fi
	[[ $TESTED != yes ]] || state+="; make test runs it"
	printf '%-30s%s\n%-30s%s\n' "$name" "$ABOUT" '' "$state"
done
