#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Opens and closes very many sockets in guests, reads, loads and unloads, and compares what the
# kernel holds afterwards with what it held before. See tests/volume/src/main.rs.
#
# usage: vm/volume.sh [--fault NAME] [KERNEL]...    (the default: debug debian-13-backports)
#   --fault NAME   with a module that leaks (leak-namespace, leak-memory): this must not pass
#
# KNETSTAT_SOCKETS (100000), KNETSTAT_READS (10000) and KNETSTAT_LOADS (500) say how many.

. "$(dirname "$0")/lib.sh"

fault=
if [[ ${1:-} == --fault ]]; then
	[[ ${2:-} =~ ^leak-[a-z]+$ ]] || die_usage "usage: vm/volume.sh [--fault leak-namespace|leak-memory] [KERNEL]..."
	fault=$2
	shift 2
fi
[[ $# -gt 0 ]] || set -- debug debian-13-backports
for kernel; do check_kernel_name "$kernel"; done
for number in "${KNETSTAT_SOCKETS:=100000}" "${KNETSTAT_READS:=10000}" "${KNETSTAT_LOADS:=500}"; do
	[[ $number =~ ^[0-9]+$ ]] || die_usage "not a number: '$number'"
done
"$VM/root.sh" > /dev/null
check_host
for kernel; do
	program=$("$VM/program.sh" knetstat-volume "$kernel")
	ko=$("$VM/module.sh" ${fault:+--make "KNETSTAT_FAULT=$fault"} "$kernel")
	note "== volume on $kernel${fault:+, with a module that leaks on purpose ($fault)}"
	# Each kind of object has a cache of its own.
	"$VM/run.sh" --no-module --timeout 7200 --append slab_nomerge --log "$CACHE/log/volume-$kernel.kernel.log" \
		--with "$program" --with "$ko" "$kernel" \
		"KNETSTAT_KO=\$KNETSTAT_DIR/${ko##*/} KNETSTAT_SOCKETS=$KNETSTAT_SOCKETS KNETSTAT_READS=$KNETSTAT_READS \
		KNETSTAT_LOADS=$KNETSTAT_LOADS \$KNETSTAT_DIR/${program##*/}"
done
