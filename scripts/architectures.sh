# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# The architectures that knetstat is for, with all their names. To be sourced. rust/standalone.mk has rustc's
# flags for each, and vm/machines/qemu.sh the machines of the guests.

# The columns are: the name in Debian; in Kbuild (ARCH=); in uname -m, with which the names of cross compilers
# begin; the option of the kernel's configuration; and rustc's target for programs.
architectures() {
	cat <<-END
		amd64    x86    x86_64   X86_64      x86_64-unknown-linux-gnu
		arm64    arm64  aarch64  ARM64       aarch64-unknown-linux-gnu
		riscv64  riscv  riscv64  ARCH_RV64I  riscv64gc-unknown-linux-gnu
	END
}

# find_architecture NAME: sets arch_debian, arch_kbuild, arch_machine, arch_config and arch_rust to the names
# of the architecture to which one of the first three, NAME, belongs. Fails if there is none.
find_architecture() {
	while read -r arch_debian arch_kbuild arch_machine arch_config arch_rust; do
		case $1 in "$arch_debian" | "$arch_kbuild" | "$arch_machine") return ;; esac
	done < <(architectures)
	return 1
}

# architecture_names: Debian's names, for a sentence.
architecture_names() {
	local names others
	names=$(architectures | cut -d' ' -f1 | paste -sd' ')
	others=${names% *}
	echo "${others// /, } and ${names##* }"
}
