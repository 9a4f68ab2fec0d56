#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Puts load on guests that this project did not write, while four readers go over all files: the
# network stressors of stress-ng, then network selftests of the kernel, which have to pass as they
# did without the module. See tests/load/src/main.rs.
#
# usage: vm/load.sh [KERNEL]...    (the default: debug debian-13-backports)
#
# KNETSTAT_READS: so many listings are read (10000). KNETSTAT_ONLY: only selftests whose folder and
# command contain this. KNETSTAT_STRESS: the stressors run for so many seconds at a time (60).
# What the selftests print goes to the cache, log/load-KERNEL.

. "$(dirname "$0")/lib.sh"

[[ $# -gt 0 ]] || set -- debug debian-13-backports
for kernel; do check_kernel_name "$kernel"; done
for number in "${KNETSTAT_READS:=10000}" "${KNETSTAT_STRESS:=60}"; do
	[[ $number =~ ^[0-9]+$ ]] || die_usage "not a number: '$number'"
done
# It goes through the guest's command line.
[[ ${KNETSTAT_ONLY:=} =~ ^[A-Za-z0-9_./-]*$ ]] || die_usage "KNETSTAT_ONLY has letters, digits and _./- only"
"$VM/root.sh" > /dev/null
check_host
tools=$("$VM/load-tools.sh")
for kernel; do
	(load_guest "$kernel" && [[ $ARCH == amd64 ]]) || die_usage "the selftests are built for amd64, unlike $kernel"
	program=$("$VM/program.sh" knetstat-load "$kernel")
	ko=$("$VM/module.sh" "$kernel")
	dir=$CACHE/log/load-$kernel
	remove_tree "$dir"
	note "== load on $kernel; what the selftests print: $dir"
	"$VM/run.sh" --no-module --timeout 7200 --dir "$dir" --log "$CACHE/log/load-$kernel.kernel.log" \
		--with "$program" --with "$ko" "$kernel" \
		"KNETSTAT_KO=\$KNETSTAT_DIR/${ko##*/} KNETSTAT_LOAD=$(in_cache "$tools") KNETSTAT_READS=$KNETSTAT_READS \
		KNETSTAT_STRESS=$KNETSTAT_STRESS KNETSTAT_ONLY=$KNETSTAT_ONLY \$KNETSTAT_DIR/${program##*/}"
done
