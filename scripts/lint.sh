#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks the sources without running them. Prints each finding with its file and line, and fails if
# there is one. `make lint` runs all checks with the tools of the build root.
#
# usage: scripts/lint.sh CHECK
#   rustfmt      the format of the Rust files
#   shell        all shell scripts, by their first lines
#   mandoc       the manual pages
#   generated    that the files which `make man` generates are current
#   clippy       the Rust programs; the module needs a kernel: make clippy

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

# needs TOOL: ends the script if the tool, which has the name of its package, is missing.
needs() { have "$1" || die "$1 is missing; run: $(install_command "$1")"; }

# files_with PATTERN: the files with a match in their first five lines; a line with #! counts only as the
# first.
files_with() {
	# shellcheck disable=SC2016 # A program of awk.
	find . \( -name target -o -name vendor -o -name .git \) -prune -o -type f -print0 |
		LC_ALL=C xargs -0 awk -v pattern="$1" 'FNR > 5 || FNR > 1 && /^#!/ { nextfile }
			$0 ~ pattern { sub(/^\.\//, "", FILENAME); print FILENAME; nextfile }' | sort
}

check_shell() {
	local list zsh script status=0
	needs shellcheck
	mapfile -t list < <(files_with '^#!.*[/ ](ba|da|k)?sh( |$)|^# shellcheck shell=')
	[[ " ${list[*]} " == *" scripts/lint.sh "* ]] || die "the list of scripts lacks scripts/lint.sh"
	shellcheck --external-sources --format=gcc "${list[@]}" || status=1
	# No zsh is supported there. A check of the syntax is better than none.
	mapfile -t zsh < <(files_with '^#!.*[/ ]zsh( |$)')
	[[ ${#zsh[@]} -eq 0 ]] || needs zsh
	for script in "${zsh[@]}"; do
		zsh -n "$script" || status=1
	done
	echo "${#list[@]} scripts, and ${#zsh[@]} for zsh"
	return "$status"
}

# mandoc_exceptions: the findings that this project accepts, one pattern a line.
mandoc_exceptions() {
	# Lines are up to 100 columns long, as in all files here.
	echo 'STYLE: input text line longer than 80 bytes: '
	# mandoc expects .Os without arguments. The pages describe Linux wherever they are read.
	echo 'STYLE: operating system explicitly specified: Os Linux'
	# The pages of other projects are not installed in the build root.
	echo 'STYLE: referenced manual not found: '
	echo 'mandoc: outdated mandoc\.db lacks '
	# The title of an example is the question that it answers.
	echo 'STYLE: trailing delimiter: Ss .*\?$'
	# Literal text may end with a delimiter.
	echo 'STYLE: no blank before trailing delimiter: Li '
	# FILTERS is a section beside FILES.
	echo 'STYLE: possible typo in section name: Sh FILTERS '
}

check_mandoc() {
	local pages=(man/*.[1-9]) found
	needs mandoc
	# The two streams one after the other: in one pipe, a line may cut another.
	found=$({ mandoc -T lint "${pages[@]}" 2>&3 || true; } 3> "$scratch")
	# grep finds something unless all is accepted.
	if { printf '%s\n' "$found" && cat "$scratch"; } | grep . | grep -vE -f <(mandoc_exceptions) | sed 's/^mandoc: //'; then
		return 1
	fi
	echo "${#pages[@]} pages"
}

# Runs `make man` in a copy: a file that it changes there is not current here.
check_generated() {
	local dir=${CARGO_TARGET_DIR:-$PWD/tools/target}/generated copy file status=0
	# Always the same place, which cargo compiles into the program.
	copy=$dir/copy
	rm -rf "$copy"
	mkdir -p "$copy"
	tar -c --exclude=target --exclude=.git . | tar -x -C "$copy"
	CARGO_TARGET_DIR=$dir make --no-print-directory -C "$copy" man
	while IFS= read -r file; do
		if cmp -s "$file" "$copy/$file"; then continue; fi
		echo "$file:1: this file is not current; run: make man"
		diff --unchanged-line-format='' --old-line-format="$file:%dn: -%L" --new-line-format="$file:%dn: +%L" \
			"$file" "$copy/$file" || true
		status=1
	done < <(cd "$copy" && find . -name target -prune -o -type f -newer "$copy/Makefile" -printf '%P\n')
	return "$status"
}

case ${1:-} in
rustfmt) scripts/fmt.sh --check ;;
shell | mandoc | generated) "check_$1" ;;
clippy) make --no-print-directory clippy-tests ;;
*) die "usage: $0 rustfmt|shell|mandoc|generated|clippy" ;;
esac
