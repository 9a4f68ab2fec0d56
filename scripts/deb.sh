#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# deb.sh all|dkms: builds the packages, ./knetstat-dkms_VERSION_all.deb and ./knetstat_VERSION_ARCH.deb,
# or only the former, in a copy of what they are made from. The version is that of debian/changelog.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."

case ${1:-} in
all) which=binary ;;
dkms) which=all ;;
*) die "usage: $0 all|dkms" ;;
esac

missing=()
have dpkg-buildpackage || missing+=(dpkg-dev)
have dh || missing+=(debhelper)
have dh_dkms || missing+=(dh-dkms)
if [ "$1" = all ] && ! have "${CARGO:-cargo}"; then missing+=("$CARGO_PACKAGE"); fi
if [ ${#missing[@]} != 0 ]; then
	case $MANAGER in
	apt-get) die "to build the package takes ${missing[*]}; run: $(install_command "${missing[@]}")" ;;
	*) die "the package is for Debian and Ubuntu, and built there; here: make && make install" ;;
	esac
fi
if [ "$1" = all ]; then
	said=$(scripts/command.sh check 2>&1) ||
		die "${said#knetstat: }; or build the package of the module only: make deb-dkms"
fi

# debhelper gives a build another HOME.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

# Always the same place: where the command is built changes, by cargo's hashes of paths, its code.
scratch=$PWD/target/deb
trap 'rm -rf "$scratch"; rmdir --ignore-fail-on-non-empty target' EXIT
rm -rf "$scratch"
mkdir -p "$scratch"
mkdir "$scratch/knetstat"
# Not what it is tested with, and not what was built here.
tar -c --exclude=target CHANGELOG.md Kbuild Makefile README.md ./*.rs abstractions bindings debian docs man rust scripts \
	sockets sockopts tools | tar -x -C "$scratch/knetstat"
# That there is no build-essential does not matter.
if ! (cd "$scratch/knetstat" && dpkg-buildpackage --build="$which" --no-sign --no-check-builddeps) > "$scratch/log" 2>&1; then
	tail -n 20 "$scratch/log" >&2
	die "the package does not build, see above"
fi
mapfile -t debs < <(cd "$scratch" && ls knetstat_*.deb knetstat-dkms_*.deb 2> /dev/null)
cp "${debs[@]/#/$scratch/}" .
echo "Built ${debs[*]}. Install with: $(install_command "${debs[@]/#/./}")"
