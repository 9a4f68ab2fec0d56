# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="User Mode Linux with KASAN, lockdep, UBSAN and fault injection"
MACHINE=uml
SCALE=checked
FRAGMENTS=(tests.config uml.config debug.config debug-uml.config)
# KASAN with CONFIG_RUST wants a kernel compiled by clang.
MAKE_ARGS=(LLVM=1)
MEM=4096
TESTED=yes
