# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# A guest; vm/lib.sh says what each variable is for.

ABOUT="Debian 13's unmodified kernel from backports, for clouds"
MACHINE=qemu
SCALE=emulated
# The kernel that vm/root.sh has installed in the build root, which is of that release.
SUITE=
IMAGE=linux-image-cloud-amd64
MEM=2048
TESTED=yes
