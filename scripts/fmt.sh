#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# fmt.sh [--check]: formats every Rust file that a person wrote, by
# .rustfmt.toml, the kernel's settings. RUSTFMT: the tool, if not rustfmt.
#
# rustfmt reads each from its standard input: given a file's name it would go
# on to the files that its `mod` lines name, and some of those are generated.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

rustfmt=${RUSTFMT:-rustfmt}
have "$rustfmt" || die "$rustfmt is missing; run: $(install_command "$(tool_package rustfmt)")"
cd "$scripts/.."

formatted=$(mktemp)
trap 'rm -f "$formatted"' EXIT
differ=0
while IFS= read -r file; do
	"$rustfmt" --quiet --config-path .rustfmt.toml <"$file" >"$formatted" || die "rustfmt fails on $file"
	if cmp -s "$file" "$formatted"; then
		continue
	elif [ "${1:-}" = --check ]; then
		diff -u --label "$file" --label "$file, formatted" "$file" "$formatted" || true
		differ=$((differ + 1))
	else
		cat "$formatted" >"$file"
		echo "$file"
	fi
done < <(find . \( -name target -o -name .git \) -prune -o -name '*.rs' \
	! -path ./bindings/layout.rs -printf '%P\n' | sort)
if [ "$differ" != 0 ]; then
	die "$differ files are not formatted; run: make fmt"
fi
