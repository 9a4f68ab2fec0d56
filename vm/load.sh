#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs programs of other projects in guests while four readers read all files: the network stressors of
# stress-ng, then network selftests of the kernel, which must pass as they do without the module. See
# tests/load/src/main.rs.
#
# usage: vm/load.sh [KERNEL]...    (default: debug debian-13-backports)
#
# KNETSTAT_READS   the number of listings to read (10000)
# KNETSTAT_STRESS  the seconds that each stressor runs (60)
# KNETSTAT_ONLY    run only selftests whose directory and command contain this
# The output of the selftests is in the cache, log/load-KERNEL.

. "$(dirname "$0")/lib.sh"

[[ $# -gt 0 ]] || set -- debug debian-13-backports
for kernel; do check_kernel_name "$kernel"; done
: "${KNETSTAT_READS:=10000}" "${KNETSTAT_STRESS:=60}"
check_numbers KNETSTAT_READS KNETSTAT_STRESS
# It is part of a shell command in the guest.
[[ ${KNETSTAT_ONLY:=} =~ ^[A-Za-z0-9_./-]*$ ]] || die_usage "KNETSTAT_ONLY may contain only letters, digits and _./-"
"$VM/root.sh" > /dev/null
check_host
tools=$("$VM/load-tools.sh")
for kernel; do
	(load_guest "$kernel" && [[ $ARCH == amd64 ]]) || die_usage "the selftests are for amd64, and $kernel is not"
	program=$("$VM/program.sh" knetstat-load "$kernel")
	ko=$("$VM/module.sh" "$kernel")
	dir=$CACHE/log/load-$kernel
	remove_tree "$dir"
	note "== load on $kernel; the output of the selftests: $dir"
	"$VM/run.sh" --no-module --timeout 7200 --dir "$dir" --log "$CACHE/log/load-$kernel.kernel.log" \
		--with "$program" --with "$ko" "$kernel" \
		"KNETSTAT_KO=\$KNETSTAT_DIR/${ko##*/} KNETSTAT_LOAD=$(in_cache "$tools") KNETSTAT_READS=$KNETSTAT_READS \
		KNETSTAT_STRESS=$KNETSTAT_STRESS KNETSTAT_ONLY=$KNETSTAT_ONLY \$KNETSTAT_DIR/${program##*/}"
done
