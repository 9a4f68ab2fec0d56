#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Formats every Rust file that is not generated, with the kernel's settings (.rustfmt.toml). RUSTFMT is
# the tool, if not rustfmt.
#
# usage: fmt.sh [--check]
#   --check   change nothing: print the lines that differ, and fail if there is one
#
# rustfmt reads each file from its standard input. Given the name of a file, it would format the files
# that its `mod` lines name as well, and some of those are generated.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

rustfmt=${RUSTFMT:-rustfmt}
have "$rustfmt" || die "$rustfmt is missing; run: $(install_command "$(tool_package rustfmt)")"
cd "$scripts/.."

formatted=$(mktemp) errors=$(mktemp)
trap 'rm -f "$formatted" "$errors"' EXIT
differ=0
while IFS= read -r file; do
	"$rustfmt" --quiet --config-path .rustfmt.toml <"$file" >"$formatted" 2>"$errors" || {
		sed "s|<stdin>|$file|" "$errors" >&2
		die "rustfmt fails on $file"
	}
	if cmp -s "$file" "$formatted"; then
		continue
	elif [ "${1:-}" = --check ]; then
		diff --unchanged-line-format='' --old-line-format="$file:%dn: -%L" --new-line-format="$file:%dn: +%L" \
			"$file" "$formatted" || true
		differ=$((differ + 1))
	else
		cat "$formatted" >"$file"
		echo "$file"
	fi
done < <(find . \( -name target -o -name vendor -o -name .git \) -prune -o -name '*.rs' \
	! -path ./bindings/layout.rs -printf '%P\n' | sort)
if [ "$differ" != 0 ]; then
	die "files that are not formatted: $differ; run: make fmt"
fi
