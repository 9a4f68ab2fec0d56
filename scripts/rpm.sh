#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the packages ./knetstat-VERSION-REVISION.ARCH.rpm, ./knetstat-dkms-VERSION-REVISION.noarch.rpm and
# ./knetstat-VERSION-REVISION.src.rpm, or only the second, in a copy of their sources. The last contains the
# spec, for a build by mock or the like.
#
# usage: rpm.sh all|dkms

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

case ${1:-} in
all | dkms) which=$1 ;;
*) die "usage: $0 all|dkms" ;;
esac

missing=()
have rpmbuild || missing+=("$RPMBUILD_PACKAGE")
check_tools "$which" rpm-dkms "${missing[@]}"

# changelog: debian/changelog in the format of a spec.
changelog() {
	awk '
		/^[^ ]/ { version = $2; gsub(/[()]/, "", version); if (version !~ /-/) version = version "-1"; text = "" }
		/^  \* / { text = text "\n- " substr($0, 5) }
		/^    [^ ]/ { text = text "\n  " substr($0, 5) }
		/^ -- / {
			split($0, part, "  ")
			split(part[2], date, /[ ,]+/)
			sub(/^ -- /, "", part[1])
			print (entries++ ? "\n" : "") "* " date[1], date[3], date[2] + 0, date[4], part[1], "-", version text
		}' debian/changelog
}

# Always the same directory, whose path is in the program's debugging information.
scratch=$PWD/target/rpm
trap 'rm -rf "$scratch"; rmdir --ignore-fail-on-non-empty target' EXIT
rm -rf "$scratch"
mkdir -p "$scratch/SOURCES" "$scratch/SPECS" "$scratch/RPMS" "$scratch/SRPMS"
values=(CHANGELOG="$(changelog)")
build=(-bb --without command)
make_sources "$scratch/SOURCES"
if [ "$which" = all ]; then
	build=(-ba)
	make_vendor "$scratch/SOURCES"
	values+=(BUNDLED="$(scripts/command.sh crates | awk '{ print "Provides:       bundled(crate(" $1 ")) = " $2 }')"
		LICENSE="$(license)")
else
	values+=(BUNDLED= LICENSE=)
fi
fill scripts/packages/knetstat.spec.in "${values[@]}" > "$scratch/SPECS/knetstat.spec"

# Reproducible: the same sources make the same packages. No packages with debugging information, for which
# rpmbuild needs more tools.
options=(--define "_topdir $scratch" --define 'debug_package %{nil}' --define 'source_date_epoch_from_changelog 1' --define 'build_mtime_policy clamp_to_source_date_epoch'
	--define 'use_source_date_epoch_as_buildtime 1' --define '_buildhost localhost')
# Where rpm is not the package manager, its database has no packages.
case $MANAGER in dnf | zypper) ;; *) options+=(--nodeps) ;; esac
if ! rpmbuild "${build[@]}" "${options[@]}" "$scratch/SPECS/knetstat.spec" > "$scratch/log" 2>&1; then
	tail -n 20 "$scratch/log" >&2
	die "the packages do not build, see above"
fi
mapfile -t rpms < <(cd "$scratch" && find RPMS -name '*.rpm' -printf '%f\n' | sort)
mapfile -t all < <(find "$scratch/RPMS" "$scratch/SRPMS" -name '*.rpm' | sort)
cp "${all[@]}" .
echo "Built ${all[*]##*/}. Install with: dnf install ${rpms[*]/#/./}"
