# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Debian 13's unmodified kernel for riscv64"
MACHINE=qemu
SCALE=emulated
SUITE=trixie
IMAGE=linux-image-riscv64
ARCH=riscv64
# Emulated RISC-V is slow: see docs/build.md.
TESTED=named
MINUTES=30
TIMEOUT=3600
MEM=2048
