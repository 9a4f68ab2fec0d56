#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the packages ./knetstat-VERSION-REVISION-ARCH.pkg.tar.* and
# ./knetstat-dkms-VERSION-REVISION-any.pkg.tar.*, and ./knetstat-VERSION-REVISION.src.tar.gz with the PKGBUILD
# and the archives that it is built from.
#
# usage: arch.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

missing=()
if ! have makepkg || ! have pacman || ! have bsdtar; then
	[ ${#MAKEPKG_PACKAGES[@]} != 0 ] ||
		die "makepkg is missing; build the packages for Arch on Arch, Debian or Fedora"
	missing+=("${MAKEPKG_PACKAGES[@]}")
fi
check_tools all '' "${missing[@]}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/knetstat.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/arch"
make_sources "$scratch/arch"
make_vendor "$scratch/arch"
sums=$(cd "$scratch/arch" && sha256sum "knetstat-$version.tar.xz" "knetstat-$version-vendor.tar.xz" | cut -d' ' -f1)
fill scripts/packages/PKGBUILD.in SUMS="${sums//$'\n'/ }" LICENSE="$(license)" > "$scratch/arch/PKGBUILD"

# makepkg refuses to run as root.
unprivileged=()
if [ "$(id -u)" = 0 ]; then
	unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chown -R 65534:65534 "$scratch"
fi
# Where pacman is not the package manager, its database has no packages.
options=(--force)
[ "$MANAGER" = pacman ] || options+=(--nodeps)
run() {
	# The directories of the caller's configuration are not taken.
	(cd "$scratch/arch" && env HOME="$scratch" BUILDDIR="$scratch" PKGDEST="$scratch/arch" SRCDEST="$scratch/arch" \
		SRCPKGDEST="$scratch/arch" "${unprivileged[@]}" makepkg "${options[@]}" "$@") >> "$scratch/log" 2>&1
}
if ! run || ! run --allsource; then
	tail -n 20 "$scratch/log" >&2
	die "the packages do not build, see above"
fi
# Not the debugging information, which makepkg may pack, too.
mapfile -t built < <(cd "$scratch/arch" && find . -name '*.pkg.tar*' ! -name '*-debug-*' -printf '%f\n' | sort)
mapfile -t sources < <(cd "$scratch/arch" && find . -name '*.src.tar*' -printf '%f\n')
for file in "${built[@]}" "${sources[@]}"; do cp "$scratch/arch/$file" .; done
echo "Built ${built[*]} ${sources[*]}. Install with: pacman -U ${built[*]}"
