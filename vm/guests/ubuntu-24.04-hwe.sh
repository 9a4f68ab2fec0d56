# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Ubuntu 24.04's unmodified hardware enablement kernel"
MACHINE=qemu
SCALE=emulated
DISTRIBUTION=ubuntu
SUITE=noble
IMAGE=linux-image-virtual-hwe-24.04
FLAVOUR=generic
MEM=2048
