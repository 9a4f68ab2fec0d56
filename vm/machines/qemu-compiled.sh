# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2153,SC2154
#
# QEMU without KVM, as in qemu.sh, with a kernel that is compiled here, as for UML. It needs no initramfs,
# because all drivers for booting are built in. To be sourced by load_guest; vm/machines/uml.sh lists
# the functions.

# shellcheck source=vm/machines/qemu.sh
. "$VM/machines/qemu.sh"
LINUX_ARCH=x86_64 LINUX_TARGETS=(bzImage modules)
# After qemu.sh, because it redefines the functions that make the kernel.
# shellcheck source=vm/linux.sh
. "$VM/linux.sh"
# On a busy host, a CPU may be stalled for longer than RCU's default timeout (seen at a load of 25).
BOOT_ARGS="root=root rootfstype=virtiofs rw rcupdate.rcu_cpu_stall_timeout=120${BOOT_ARGS:+ $BOOT_ARGS}"

machine_args() { printf '%s\n' KDIR="$(in_cache "$DIR")" KVER="$(machine_release)" "${MAKE_ARGS[@]}"; }

boot_files() { KERNEL_FILE=$(in_cache "$DIR")/arch/x86/boot/bzImage INITRAMFS=; }
