#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a guest's kernel and the build tree that modules for it are built against, in the
# cache (how: vm/machines/), and prints where it is.
#
# usage: vm/kernel.sh [--find] KERNEL
#   --find   make nothing: print where it is, or fail if it is not there

. "$(dirname "$0")/lib.sh"

usage="usage: vm/kernel.sh [--find] KERNEL"
find=
if [[ ${1:-} == --find ]]; then
	find=yes
	shift
fi
[[ $# -eq 1 ]] || die_usage "$usage"
load_guest "$1"
if [[ -n $find ]]; then
	ROOT=$("$VM/root.sh" --find) || exit 1
else
	ROOT=$("$VM/root.sh")
fi
check_host

DIR=$CACHE/$KERNEL-$(machine_recipe | hash_of)
exit_if_made "$DIR" "$DIR"
[[ -z $find ]] || exit 1
begin_making "$DIR" "$DIR" 4
note "making the $KERNEL kernel, $DIR"
mkdir -p "$DIR"
machine_make
end_making "$DIR"
# The root of a release is large, and soon made again.
case $MACHINE in
qemu) prune "$KERNEL" 1 ;;
*) prune "$KERNEL" ;;
esac
[[ $MACHINE == qemu ]] || prune linux
printf '%s\n' "$DIR"
