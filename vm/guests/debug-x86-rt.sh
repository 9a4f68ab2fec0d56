# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="debug-x86 with PREEMPT_RT, whose locks sleep"
MACHINE=qemu-compiled
SCALE=slowest
FRAGMENTS=(tests.config x86.config smp.config debug.config debug-x86.config rt.config)
MEM=3072
TESTED=named
TIMEOUT=7200
