#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# doc.sh KDIR OUTPUT: rustdoc on the crate, with the flags that Kbuild has
# compiled it with. Kbuild itself can do this for its own tree only.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kdir=$1
output=$2
cd "$scripts/.."

# Of the two ways to build, the one that was taken last.
# shellcheck disable=SC2012 # The names are known, and find does not sort by time.
cmd=$(ls -t rust/.module.o.cmd .knetstat_rust.o.cmd 2>/dev/null | head -n 1)
[ -n "$cmd" ] || die "the module is not built, and the flags are not known; run: make"

# Of `savedcmd_X := OBJTREE=... rustc FLAGS... ./knetstat.rs ; objtool ...`
# what stands before the semicolon, as make would have unescaped it.
line=$(sed -n 's/^\(saved\)\{0,1\}cmd_[^ ]* := //p;T;q' "$cmd" | sed 's/ ; .*//; s/\$\$/$/g; s/\\#/#/g')
words=()
eval "words=($line)"

# The environment, then the compiler, then its flags less what tells it which
# files to write: rustdoc has its own.
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

# The rustdoc of that very compiler.
rustc=$("$scripts/check-kdir.sh" "$kdir")
rustdoc=$("$scripts/tool.sh" "$rustc" rustdoc)

rm -rf "$output"
mkdir -p "$output"
env "${environment[@]}" "$rustdoc" "${flags[@]}" --document-private-items --crate-version "" \
	-Zunstable-options --output "$output"
echo "See $(ls -- "$output"/*/index.html)"
