#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# deb.sh: builds the package, ./knetstat-dkms_VERSION_all.deb, in a copy of what it is made from.
# The version is that of debian/changelog.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."

missing=()
have dpkg-buildpackage || missing+=(dpkg-dev)
have dh || missing+=(debhelper)
have dh_dkms || missing+=(dh-dkms)
if [ ${#missing[@]} != 0 ]; then
	case $(family) in
	debian | ubuntu) die "to build the package takes ${missing[*]}; run: $(apt_install "${missing[@]}")" ;;
	*) die "the package is for Debian and Ubuntu, and built there; here: make && make install" ;;
	esac
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/knetstat"
# Not what it is tested with, and not what was built here.
cp -a CHANGELOG.md Kbuild Makefile README.md ./*.rs bindings debian docs getsockopt man rust scripts "$scratch/knetstat/"
# That there is no build-essential does not matter.
if ! (cd "$scratch/knetstat" && dpkg-buildpackage --build=binary --no-sign --no-check-builddeps) > "$scratch/log" 2>&1; then
	tail -n 20 "$scratch/log" >&2
	die "the package does not build, see above"
fi
cp "$scratch"/knetstat-dkms_*_all.deb .
deb=$(basename "$scratch"/knetstat-dkms_*_all.deb)
echo "Built $deb. Install it with: $(apt_install "./$deb")"
