# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="The same kernel, with the module built by its own Rust (RUST=kernel)"
MACHINE=qemu
SCALE=emulated
SUITE=
METADATA=yes
IMAGE=linux-image-cloud-amd64
MEM=2048
