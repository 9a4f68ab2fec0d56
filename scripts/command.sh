#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds, tests or installs the command in tools/knetstat, a static program, or says in one line why it cannot.
#
# usage: command.sh check|build|test|crates|install|uninstall
#   check    only check that all that the build needs is installed
#   test     run its tests, for packages: with the flags of the build, so that less is compiled again
#   crates   print the crates that are linked into it: name, version and license, one a line
#
# Environment:
#   ARCH, CROSS_COMPILE   as for the module
#   CARGO                 the cargo to prefer (check, build, test, crates)
#   RUSTFLAGS             more flags for rustc (build, test)
#   CARGO_TARGET_DIR      the directory of the build (build, test, install)
#   PREFIX (/usr/local), DESTDIR, MANDIR, BASHDIR, ZSHDIR, FISHDIR
#                         where the files are installed (install, uninstall)
#   STRIP=no              leave the debugging symbols in, for packages that strip it later (install)

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/architectures.sh
. "$scripts/architectures.sh"
DESTDIR=$(from_here "${DESTDIR:-}")
set_absolute PREFIX MANDIR BASHDIR ZSHDIR FISHDIR
cd "$scripts/../tools"

# The machine that it is built for, by Rust's name.
machine=${ARCH:-$(uname -m)}
find_architecture "$machine" || die "the command is for $(architecture_names), not for $machine"
target=$arch_rust
built=${CARGO_TARGET_DIR:-target}/$target/release/knetstat

# cargos: the installed cargos; those with a version in their names, as in Ubuntu, last.
cargos() {
	local cargo
	for cargo in "${CARGO:-cargo}" $(compgen -c cargo-1. | sort -urV); do
		if have "$cargo"; then echo "$cargo"; fi
	done
}

cargo_release() { "$1" --version 2>/dev/null | sed -nE 's/^cargo ([0-9]+\.[0-9]+).*/\1/p' || true; }

# Sets cargo to the first that is new enough.
find_cargo() {
	local first='' version
	for cargo in $(cargos); do
		first=${first:-$cargo}
		version=$(cargo_release "$cargo")
		if [ -n "$version" ] && ! older "$version" "$oldest_rustc"; then
			return
		fi
	done
	[ -n "$first" ] || die "cargo is missing; run: $(install_cargo install_command)"
	version=$(cargo_release "$first")
	[ -n "$version" ] || die "$first does not run; run: $(install_cargo reinstall_command)"
	die "$first is version $version, the command needs $oldest_rustc or later; run: $(install_cargo install_command)"
}

# Sets cargo and cc.
check() {
	find_cargo
	cc=${CROSS_COMPILE:+${CROSS_COMPILE}gcc}
	cc=${cc:-cc}
	have "$cc" || die "$cc is missing; run: $(install_command gcc)"
	[ "$("$cc" -print-file-name=libc.a)" != libc.a ] ||
		die "libc.a is missing, and the command is linked statically; run: $(install_command "$LIBC_PACKAGE")"
}

# run_cargo SUBCOMMAND
run_cargo() {
	local cargo cc offline=()
	check
	# Ubuntu's rustc has the version in its name, too.
	case $cargo in cargo-1.*) export RUSTC=${cargo/cargo/rustc} ;; esac
	export "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<< "$target")_LINKER=$cc"
	export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
	# With the crates that `make dist-vendor` packed, no network is needed.
	if [ -d vendor ]; then offline=(--offline); fi
	"$cargo" "$1" --locked "${offline[@]}" --release --package knetstat --target "$target" \
		--target-dir "${CARGO_TARGET_DIR:-target}"
}

crates() {
	local cargo cc offline=()
	check
	if [ -d vendor ]; then offline=(--offline); fi
	# The crates of this project have a directory behind the version.
	"$cargo" tree --quiet --locked "${offline[@]}" --package knetstat --target "$target" \
		--edges no-build,no-dev,no-proc-macro --no-dedupe --prefix none --format '{p} {l}' |
		sed -E '/ \(\//d; s/ v/ /; s,/, OR ,g' | LC_ALL=C sort -u
}

# The installed files.
prefix=${PREFIX:-/usr/local}
share=$prefix/share
declare -A places=(
	[bin]=$prefix/bin/knetstat
	[man]=${MANDIR:-$share/man}/man8/knetstat.8
	[rules]=${MANDIR:-$share/man}/man5/knetstat-check.5
	[bash]=${BASHDIR:-$share/bash-completion/completions}/knetstat
	[zsh]=${ZSHDIR:-$share/zsh/site-functions}/_knetstat
	[fish]=${FISHDIR:-$share/fish/vendor_completions.d}/knetstat.fish
)

# may_write TARGET: ends the script unless the files can be written.
may_write() {
	local place
	for place in "${places[@]}"; do
		place=${DESTDIR:-}$place
		while [ ! -d "$place" ]; do place=$(dirname "$place"); done
		[ -w "$place" ] ||
			die "$place is not writable; run: sudo make $1, or choose another directory: make $1 PREFIX=DIR"
	done
}

put() { install -D -m 644 "$1" "${DESTDIR:-}${places[$2]}"; }

case ${1:-} in
check) check ;;
build)
	run_cargo build ||
		die "the command does not build, see above; the first build downloads the crates in tools/Cargo.lock"
	;;
test) run_cargo test || die "the tests of the command failed, see above" ;;
crates) crates ;;
install)
	[ -f "$built" ] || die "the command is not built (${built/#target/tools/target} is missing); run: make tool; or set CARGO_TARGET_DIR as it was then"
	may_write install-tool
	strip=(-s --strip-program="${CROSS_COMPILE:-}strip")
	if [ "${STRIP:-}" = no ] || ! have "${CROSS_COMPILE:-}strip"; then strip=(); fi
	install -D -m 755 "${strip[@]}" "$built" "${DESTDIR:-}${places[bin]}"
	put ../man/knetstat.8 man
	put ../man/knetstat-check.5 rules
	put knetstat/completions/knetstat bash
	put knetstat/completions/_knetstat zsh
	put knetstat/completions/knetstat.fish fish
	if [ -z "${DESTDIR:-}" ]; then
		echo "Installed ${places[bin]}. See: man 8 knetstat"
	fi
	;;
uninstall)
	[ -e "${DESTDIR:-}${places[bin]}" ] || die "${DESTDIR:-}${places[bin]} does not exist"
	may_write uninstall-tool
	rm -f -- "${places[@]/#/"$DESTDIR"}"
	;;
*) die "usage: $0 check|build|test|crates|install|uninstall" ;;
esac
