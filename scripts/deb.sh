#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the packages ./knetstat-dkms_VERSION_all.deb and ./knetstat_VERSION_ARCH.deb, or only the former,
# in a copy of their sources. VERSION is that of debian/changelog.
#
# usage: deb.sh all|dkms

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
if [ "$1" = all ] && ! have "${CARGO:-cargo}"; then
	[ -n "$CARGO_PACKAGE" ] || die "cargo is missing; run: $(install_cargo install_command)"
	missing+=("$CARGO_PACKAGE")
fi
if [ ${#missing[@]} != 0 ]; then
	case $MANAGER in
	apt-get) die "building the packages needs ${missing[*]}; run: $(install_command "${missing[@]}")" ;;
	*) die "the packages are for Debian and Ubuntu, and are built there; run here: make && make install" ;;
	esac
fi
if [ "$1" = all ]; then
	said=$(scripts/command.sh check 2>&1) ||
		die "${said#knetstat: }; or build only the package of the module: make deb-dkms"
fi

# debhelper changes HOME.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

# Always the same directory: cargo hashes paths, so another one would change the program.
scratch=$PWD/target/deb
trap 'rm -rf "$scratch"; rmdir --ignore-fail-on-non-empty target' EXIT
rm -rf "$scratch"
mkdir -p "$scratch"
mkdir "$scratch/knetstat"
# Without the tests, and without what was built here.
tar -c --exclude=target CHANGELOG.md Kbuild Makefile README.md ./*.rs abstractions bindings debian docs man rust scripts \
	sockets sockopts tools | tar -x -C "$scratch/knetstat"
# --no-check-builddeps, because build-essential is not needed.
if ! (cd "$scratch/knetstat" && dpkg-buildpackage --build="$which" --no-sign --no-check-builddeps) > "$scratch/log" 2>&1; then
	tail -n 20 "$scratch/log" >&2
	die "the packages do not build, see above"
fi
mapfile -t debs < <(cd "$scratch" && ls knetstat_*.deb knetstat-dkms_*.deb 2> /dev/null)
cp "${debs[@]/#/$scratch/}" .
echo "Built ${debs[*]}. Install with: $(install_command "${debs[@]/#/./}")"
