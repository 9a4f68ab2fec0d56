#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Shows the module at work: boots an unmodified Debian kernel, starts some real programs, loads the module,
# prints the four files, and unloads the module.
#
# usage: vm/demo.sh [KERNEL]    (default: debian-13)

. "$(dirname "$0")/lib.sh"

[[ $# -le 1 ]] || die_usage "usage: vm/demo.sh [KERNEL]"
load_guest "${1:-debian-13}"
"$VM/kernel.sh" "$KERNEL" > /dev/null
ko=$("$VM/module.sh" "$KERNEL")
[[ $SCALE != emulated ]] || note "booting the guest, which QEMU emulates: some 20 seconds"
exec "$VM/run.sh" --no-module --sshd --with "$ko" --timeout 300 "$KERNEL" '/knetstat/vm/demo-guest'
