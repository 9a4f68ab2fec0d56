# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Ubuntu 24.04's unmodified kernel, from its updates"
MACHINE=qemu
SCALE=emulated
DISTRIBUTION=ubuntu
SUITE=noble
IMAGE=linux-image-virtual
FLAVOUR=generic
MEM=2048
