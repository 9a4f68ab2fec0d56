# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="x86-64 on two CPUs, compiled by clang with ThinLTO, with 1000 timer interrupts a second"
MACHINE=qemu-compiled
SCALE=emulated
FRAGMENTS=(tests.config x86.config smp.config thinlto.config)
MAKE_ARGS=(LLVM=1)
MEM=3072
TESTED=named
