#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Shows the module at work: boots the unmodified Debian kernel, starts some real
# programs, loads the module, prints the four files, and unloads it.

. "$(dirname "$0")/lib.sh"

"$VM/kernel.sh" debian > /dev/null
"$VM/module.sh" debian > /dev/null
note "booting Debian's kernel, emulated by QEMU: some 15 seconds"
exec "$VM/run.sh" --no-module --with "$("$VM/module.sh" debian)" --timeout 300 debian '/knetstat/vm/demo-guest'
