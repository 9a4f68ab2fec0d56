#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the C module of the same name (https://github.com/veithen/knetstat) for a guest's kernel, from a
# copy of its sources in the cache, and prints the directory with its knetstat.ko.
#
# usage: vm/c-module.sh DIR KERNEL
#   DIR   its sources, which stay as they are

. "$(dirname "$0")/lib.sh"

[[ $# -eq 2 ]] || die_usage "usage: vm/c-module.sh DIR KERNEL"
sources=$1
[[ -f $sources/knetstat.c && -f $sources/Makefile ]] ||
	die "'$sources' has no knetstat.c and Makefile; set KNETSTAT_C_MODULE to a checkout of the C module"
sources=$(cd "$sources" && pwd -P)
load_guest "$2"

ROOT=$("$VM/root.sh")
DIR=$("$VM/kernel.sh" "$KERNEL")
lock_use

# A copy for each directory, kernel and set of sources.
name=c-$KERNEL-$({
	printf '%s\n' "$sources" "$DIR"
	cat "$sources/knetstat.c" "$sources/Makefile" "$VM/c-module.sh"
} | hash_of)
dir=$CACHE/module/$name
exec 7> "$dir.lock"
flock 7
if [[ -f $dir/knetstat.ko ]]; then
	printf '%s\n' "$dir"
	exit 0
fi
printf '%s\n' "$DIR" > "$dir.kernel"

# Like its own Makefile, but for the guest's kernel.
build() {
	local args=()
	mkdir -p "$dir"
	cp "$sources/knetstat.c" "$sources/Makefile" "$dir/"
	mapfile -t args < <(machine_args)
	in_root_at "$(machine_root)" build make --no-print-directory -C "${args[0]#KDIR=}" M="$(in_cache "$dir")" \
		"${args[@]:1}" modules
	[[ -f $dir/knetstat.ko ]] || { echo "make made no $dir/knetstat.ko"; return 1; }
}

STEP_TAIL=80 step "building the C module for $KERNEL" "module-$name" '' "the C module does not build" build
printf '%s\n' "$dir"
