# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Functions that deb.sh, rpm.sh and arch.sh share: the sources of the packages, and facts about them, all
# of which are taken from debian/ and tools/Cargo.lock. To be sourced after lib.sh.

version=$(scripts/version.sh)

# check_tools all|dkms TARGET PACKAGE...: ends the script if a PACKAGE, with a tool for building packages, is
# missing or, for "all", something that the command needs. TARGET builds only the package of the module.
check_tools() {
	local said missing=("${@:3}")
	if [ "$1" = all ] && ! have "${CARGO:-cargo}"; then
		[ -n "$CARGO_PACKAGE" ] || die "cargo is missing; run: $(install_cargo install_command)"
		missing+=("$CARGO_PACKAGE")
	fi
	[ ${#missing[@]} = 0 ] ||
		die "building the packages needs ${missing[*]}; run: $(install_command "${missing[@]}")"
	[ "$1" = all ] || return 0
	said=$(scripts/command.sh check 2>&1) ||
		die "${said#knetstat: }; or build only the package of the module: make $2"
}

# sources: a tar archive of what the packages are built from: without the tests, and without what was built
# here.
sources() {
	tar -c --exclude=target "$@" CHANGELOG.md Kbuild LICENSE Makefile README.md ./*.rs abstractions bindings \
		contrib debian docs man rust scripts sockets sockopts tools
}

# make_sources DIR and make_vendor DIR: write the sources and the crates to DIR, as `make dist` and
# `make dist-vendor` name them.
make_sources() {
	# Reproducible: the same sources make the same file.
	sources --exclude=tools/vendor --exclude=tools/.cargo --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
		--mode=u=rwX,go=rX --transform="flags=r;s,^\(\./\)\?,knetstat-$version/," | xz > "$1/knetstat-$version.tar.xz"
}
make_vendor() { scripts/vendor.sh "$1/knetstat-$version-vendor.tar.xz" 1 > /dev/null; }

# revision: that of the package, which may follow the version in debian/changelog, or 1.
revision() { sed -nE '1s/^[^(]*\([^)]*-([0-9]+)\).*/\1/p; 1s/^.*\([^-)]*\).*/1/p' debian/changelog; }

# control PACKAGE FIELD: the value of a field in debian/control, with the lines that continue it.
control() {
	awk -v package="$1" -v field="$2" '
		/^[^ ]/ { inside = 0 }
		$1 == "Package:" { current = $2 }
		current == package && $1 == field ":" { inside = 1; sub(/^[^:]*: */, "") }
		inside { print }' debian/control
}

# The first line of the description of a package, which begins with a capital in other distributions, and
# the others.
summary() {
	local line
	line=$(control "$1" Description | head -n 1)
	echo "${line^}"
}
description() { control "$1" Description | sed -E '1d; s/^ \.?//'; }

# license: the expression for the command and for all crates that are linked into it.
license() {
	local crates
	crates=$(scripts/command.sh crates | cut -d' ' -f3- | sort -u | sed -E '/ (OR|AND) /s/.*/(&)/')
	printf 'GPL-2.0-only AND %s\n' "${crates//$'\n'/ AND }"
}

# fill FILE [NAME=VALUE]...: prints the file with these values, and those above, for @NAME@.
fill() {
	local text pair
	text=$(cat "$1")
	for pair in "VERSION=$version" "REVISION=$(revision)" "MAINTAINER=$(control '' Maintainer)" \
		"SUMMARY=$(summary knetstat)" "DKMS_SUMMARY=$(summary knetstat-dkms)" \
		"DESCRIPTION=$(description knetstat)" "DKMS_DESCRIPTION=$(description knetstat-dkms)" \
		"DKMS_DOCS=$(paste -sd' ' debian/knetstat-dkms.docs)" \
		"RUST=$oldest_rustc" "${@:2}"; do
		text=${text//"@${pair%%=*}@"/"${pair#*=}"}
	done
	printf '%s\n' "$text"
}
