# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2153,SC2154
#
# QEMU without KVM, as in qemu.sh, but with a kernel that is compiled here, as UML's are. All that
# it boots by is built in, so there is no initramfs. To be sourced by load_guest; see
# vm/machines/uml.sh for what is defined here.

# shellcheck source=vm/machines/qemu.sh
. "$VM/machines/qemu.sh"
LINUX_ARCH=x86_64 LINUX_TARGETS=(bzImage modules)
# After qemu.sh, since it says otherwise where the kernel comes from.
# shellcheck source=vm/linux.sh
. "$VM/linux.sh"
# On a busy host, a CPU may stand still for as long as RCU waits by default (seen at a load of 25).
BOOT_ARGS="root=root rootfstype=virtiofs rw rcupdate.rcu_cpu_stall_timeout=120${BOOT_ARGS:+ $BOOT_ARGS}"

machine_args() { printf '%s\n' KDIR="$(in_cache "$DIR")" KVER="$(machine_release)" "${MAKE_ARGS[@]}"; }

boot_files() { KERNEL_FILE=$(in_cache "$DIR")/arch/x86/boot/bzImage INITRAMFS=; }
