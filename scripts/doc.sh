#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs rustdoc on the module, with the flags by which Kbuild compiled it. Kbuild itself supports rustdoc
# only for the kernel's crates.
#
# usage: doc.sh KDIR OUTPUT

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kdir=$1
output=$2
cd "$scripts/.."

# The more recent one of the builds by RUST=standalone and RUST=kernel.
# shellcheck disable=SC2012 # The names are known, and find does not sort by time.
cmd=$(ls -t rust/.module.o.cmd .knetstat_rust.o.cmd 2>/dev/null | head -n 1)
[ -n "$cmd" ] || die "the module is not built, so its flags are unknown; run: make"

# The line is `savedcmd_X := OBJTREE=... rustc FLAGS... ./knetstat.rs ; objtool ...`. Take the part before
# the semicolon, and unescape it as make does.
line=$(sed -n 's/^\(saved\)\{0,1\}cmd_[^ ]* := //p;T;q' "$cmd" | sed 's/ ; .*//; s/\$\$/$/g; s/\\#/#/g')
words=()
eval "words=($line)"

# The environment, then the compiler, then its flags, without those that name the files to write.
environment=(RUSTC_BOOTSTRAP=1)
flags=()
rustc=
skip=
for word in "${words[@]}"; do
	if [ -n "$skip" ]; then
		skip=
	elif [ -z "$rustc" ]; then
		case $word in
		*=*) environment+=("$word") ;;
		*) rustc=$word ;;
		esac
	else
		case $word in
		--out-dir | --emit) skip=1 ;;
		--out-dir=* | --emit=* | -Zallow-features=* | --remap-path-scope=*) ;;
		*) flags+=("$word") ;;
		esac
	fi
done

# The rustdoc of the same compiler.
rustc=$("$scripts/check-kdir.sh" "$kdir")
rustdoc=$("$scripts/tool.sh" "$rustc" rustdoc)

rm -rf "$output"
mkdir -p "$output"
env "${environment[@]}" "$rustdoc" "${flags[@]}" --document-private-items --crate-version "" \
	-Zunstable-options --output "$output"
echo "See $(ls -- "$output"/*/index.html)"
