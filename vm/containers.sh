#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests `knetstat --all-netns` with the container runtimes of Debian: podman, Docker, containerd, LXC and
# systemd-nspawn, each as its users run it, under systemd and without a network. vm/containers-guest has the
# tests. Ends with a line that sums up, and fails unless every test passed.
#
# usage: vm/containers.sh [--only TEXT] [KERNEL]    (default: debian-13)
#   --only TEXT  start only containers whose test has this in its name

. "$(dirname "$0")/lib.sh"

usage="usage: vm/containers.sh [--only TEXT] [KERNEL]"
only=
if [[ ${1:-} == --only ]]; then
	[[ $# -ge 2 ]] || die_usage "$usage"
	only=$2
	shift 2
fi
# It is part of a shell command in the guest.
[[ $# -le 1 && $only =~ ^[a-z_]*$ ]] || die_usage "$usage"
load_guest "${1:-debian-13}"
[[ $MACHINE == qemu && $DISTRIBUTION == debian && $ARCH == amd64 ]] || die_usage "only guests that run Debian for amd64 in QEMU will do; $KERNEL does not"
check_host
check_disk 3
ROOT=$("$VM/root.sh")
DIR=$("$VM/kernel.sh" "$KERNEL")
stock=$("$VM/stock-root.sh" containers)
ko=$("$VM/module.sh" "$KERNEL")
command=$("$VM/program.sh" --dev knetstat "$KERNEL")
program=$("$VM/program.sh" --dev knetstat-database "$KERNEL")
lock_use
RUN=$(mktemp -d "$CACHE/run/containers.XXXXXX")
trap 'remove_tree "$RUN"' EXIT

# A root without a kernel, and the kernel for which the module was built. Nothing is written to either, so
# links will do.
release=$(machine_release)
cp -al "$stock" "$RUN/root"
mkdir -p "$RUN/root/boot" "$RUN/root/lib/modules"
cp -al "$(machine_root)/boot/vmlinuz-$release" "$RUN/root/boot/"
cp -al "$(machine_root)/lib/modules/$release" "$RUN/root/lib/modules/"
note "== containers on $KERNEL: $release"
"$VM/run.sh" --root "$RUN/root" --release "$release" --systemd --mem 4096 --timeout 2400 --log "$CACHE/log/containers.kernel.log" \
	--with "$ko" --with "$command" --with "$program" "$KERNEL" "$IN_TOP/vm/containers-guest \$KNETSTAT_DIR $only"
