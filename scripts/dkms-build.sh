#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Builds the module for DKMS. DKMS skips a kernel if this exits with 77.
#
# usage: dkms-build.sh KERNELVER KDIR
#        dkms-build.sh --check KERNELVER KDIR [DIR]
#   --check   only check whether it can be built: by the checks that `make` does first and, with DIR, by
#             building a copy in DIR, which keeps the log if that fails

# llvm KDIR: the variable for a kernel that clang compiled. DKMS sets it only where it calls make itself.
llvm() { ! grep -qsx CONFIG_CC_IS_CLANG=y "$1/include/config/auto.conf" || echo "LLVM=${LLVM:-1}"; }
build() {
	# shellcheck disable=SC2046 # At most one word.
	make -j"$(nproc)" KVER="$1" KDIR="$2" $(llvm "$2")
}
skipped() {
	echo "knetstat: the module does not build for Linux $1, which is passed over$2" >&2
	exit 77
}

if [ "$1" != --check ]; then
	build "$1" "$2" && exit
	skipped "$1"
fi
shift
source=$(dirname "$0")/..
# shellcheck disable=SC2046 # At most one word.
env $(llvm "$2") "$source/scripts/check-kdir.sh" "$2" "$1" > /dev/null || exit 77
[ $# -ge 3 ] || exit 0
{ rm -rf "$3" && cp -aL "$source/." "$3" && cd "$3"; } || exit
if build "$1" "$2" > make.log 2>&1; then
	cd / && rm -rf "$3"
else
	skipped "$1" "; see $(pwd)/make.log"
fi
