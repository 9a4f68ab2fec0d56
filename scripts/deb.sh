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
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

case ${1:-} in
all) which=binary ;;
dkms) which=all ;;
*) die "usage: $0 all|dkms" ;;
esac

missing=()
have dpkg-buildpackage || missing+=(dpkg-dev)
have dh || missing+=(debhelper)
have dh_dkms || missing+=(dh-dkms)
if [ ${#missing[@]} != 0 ] && [ "$MANAGER" != apt-get ]; then
	die "the packages are for Debian and Ubuntu, and are built there; for others: make rpm, make arch, or make && make install"
fi
check_tools "$1" deb-dkms "${missing[@]}"

# debhelper changes HOME.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

# Always the same directory: cargo hashes paths, so another one would change the program.
scratch=$PWD/target/deb
trap 'rm -rf "$scratch"; rmdir --ignore-fail-on-non-empty target' EXIT
rm -rf "$scratch"
mkdir -p "$scratch"
mkdir "$scratch/knetstat"
sources | tar -x -C "$scratch/knetstat"
# --no-check-builddeps, because build-essential is not needed.
if ! (cd "$scratch/knetstat" && dpkg-buildpackage --build="$which" --no-sign --no-check-builddeps) > "$scratch/log" 2>&1; then
	tail -n 20 "$scratch/log" >&2
	die "the packages do not build, see above"
fi
mapfile -t debs < <(cd "$scratch" && ls knetstat_*.deb knetstat-dkms_*.deb 2> /dev/null)
cp "${debs[@]/#/"$scratch/"}" .
echo "Built ${debs[*]}. Install with: $(install_command "${debs[@]/#/./}")"
