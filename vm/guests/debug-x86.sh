# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="x86-64 on two CPUs with what UML cannot run: kmemleak, DEBUG_OBJECTS, KASAN and lockdep with SMP"
MACHINE=qemu-compiled
SCALE=slowest
FRAGMENTS=(tests.config x86.config smp.config debug.config debug-x86.config)
MEM=3072
TESTED=named
TIMEOUT=7200
