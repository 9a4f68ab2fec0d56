# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Debian 13's unmodified kernel for arm64"
MACHINE=qemu
SCALE=emulated
SUITE=trixie
IMAGE=linux-image-arm64
ARCH=arm64
MEM=2048
