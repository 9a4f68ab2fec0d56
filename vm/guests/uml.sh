# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="User Mode Linux on two CPUs, at native speed, for quick work and benchmarks"
MACHINE=uml
SCALE=fast
FRAGMENTS=(tests.config uml.config smp.config)
BOOT_ARGS="ncpus=2"
MEM=4096
