#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Builds the module for DKMS, which passes a kernel over if this exits with 77.
#
# usage: dkms-build.sh KERNELVER KDIR
#        dkms-build.sh --check KERNELVER KDIR [DIR]
#   --check   only say whether it can be built: as far as `make` can tell beforehand or, with DIR,
#             by building it there, in a copy; the log stays there if that fails

build() { make -j"$(nproc)" KVER="$1" KDIR="$2"; }
passed_over() {
	echo "knetstat: the module does not build for Linux $1, which is passed over$2" >&2
	exit 77
}

if [ "$1" != --check ]; then
	build "$1" "$2" && exit
	passed_over "$1"
fi
shift
source=$(dirname "$0")/..
"$source/scripts/check-kdir.sh" "$2" "$1" > /dev/null || exit 77
[ $# -ge 3 ] || exit 0
{ rm -rf "$3" && cp -aL "$source/." "$3" && cd "$3"; } || exit
if build "$1" "$2" > make.log 2>&1; then
	cd / && rm -rf "$3"
else
	passed_over "$1" "; see $(pwd)/make.log"
fi
