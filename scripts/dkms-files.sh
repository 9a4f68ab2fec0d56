#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Copies the files of the package for DKMS, without those that a build has left.
#
# usage: dkms-files.sh source DIR     copy the sources of the module to DIR
#        dkms-files.sh install ROOT   copy all files below ROOT: the sources with dkms.conf to
#                                     /usr/src/knetstat-VERSION, and the manual pages

set -eu
unset CDPATH
cd "$(dirname "$0")/.."

# copy_sources DIR
copy_sources() {
	mkdir -p "$1"
	tar -c --exclude=bindings/layout.rs --owner=0 --group=0 --mode=u=rwX,go=rX \
		Kbuild Makefile ./*.rs abstractions sockets sockopts \
		bindings/*.rs bindings/*.c bindings/*.h bindings/*.awk bindings/*.mk \
		rust/*.rs rust/*.c rust/*.lds rust/*.mk rust/kernel \
		scripts/architectures.sh scripts/check-kdir.sh scripts/default-kdir.sh scripts/distributions scripts/dkms-build.sh \
		scripts/lib.sh scripts/supported-kernels scripts/version.sh | tar -x -p -C "$1"
}

case ${1:-} in
source) copy_sources "${2:?}" ;;
install)
	root=${2:?}
	version=$(scripts/version.sh)
	dir=$root/usr/src/knetstat-$version
	copy_sources "$dir"
	sed "s/#MODULE_VERSION#/$version/" debian/knetstat-dkms.dkms > "$dir/dkms.conf"
	chmod 644 "$dir/dkms.conf"
	while read -r page; do
		install -D -p -m 644 "$page" "$root/usr/share/man/man${page##*.}/${page##*/}"
	done < debian/knetstat-dkms.manpages
	;;
*)
	echo "usage: $0 source DIR | install ROOT" >&2
	exit 2
	;;
esac
