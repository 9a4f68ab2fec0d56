#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Opens and closes very many sockets in guests, reads the files, loads and unloads the module, and compares
# the kernel's resources before and afterwards. See tests/volume/src/main.rs.
#
# usage: vm/volume.sh [--fault NAME] [KERNEL]...    (default: debug debian-13-backports)
#   --fault NAME   use a module that leaks (leak-namespace or leak-memory), which must fail
#
# KNETSTAT_SOCKETS  the number of sockets (100000)
# KNETSTAT_READS    the number of listings to read (10000)
# KNETSTAT_LOADS    how often the module is loaded (500)

. "$(dirname "$0")/lib.sh"

fault=
if [[ ${1:-} == --fault ]]; then
	[[ ${2:-} =~ ^leak-[a-z]+$ ]] || die_usage "usage: vm/volume.sh [--fault leak-namespace|leak-memory] [KERNEL]..."
	fault=$2
	shift 2
fi
[[ $# -gt 0 ]] || set -- debug debian-13-backports
for kernel; do check_kernel_name "$kernel"; done
: "${KNETSTAT_SOCKETS:=100000}" "${KNETSTAT_READS:=10000}" "${KNETSTAT_LOADS:=500}"
check_numbers KNETSTAT_SOCKETS KNETSTAT_READS KNETSTAT_LOADS
"$VM/root.sh" > /dev/null
check_host
for kernel; do
	program=$("$VM/program.sh" knetstat-volume "$kernel")
	ko=$("$VM/module.sh" ${fault:+--make "KNETSTAT_FAULT=$fault"} "$kernel")
	note "== volume on $kernel${fault:+, with a module that leaks on purpose ($fault)}"
	# With slab_nomerge, each kind of object has a slab cache of its own.
	"$VM/run.sh" --no-module --timeout 7200 --append slab_nomerge --log "$CACHE/log/volume-$kernel.kernel.log" \
		--with "$program" --with "$ko" "$kernel" \
		"KNETSTAT_KO=\$KNETSTAT_DIR/${ko##*/} KNETSTAT_SOCKETS=$KNETSTAT_SOCKETS KNETSTAT_READS=$KNETSTAT_READS \
		KNETSTAT_LOADS=$KNETSTAT_LOADS \$KNETSTAT_DIR/${program##*/}"
done
