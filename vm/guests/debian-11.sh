# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Debian 11's unmodified kernel, from its security updates"
MACHINE=qemu
SCALE=emulated
SUITE=bullseye
FROM=bullseye-security
IMAGE=linux-image-amd64
RUSTUP=yes
MINUTES=30
MEM=2048
