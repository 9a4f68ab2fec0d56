#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Draws docs/knetstat.svg and docs/widths.svg: the command on terminals, in a guest with an unmodified kernel
# of Debian.
#
# usage: vm/picture.sh [KERNEL]    default: debian-13

. "$(dirname "$0")/lib.sh"

[[ $# -le 1 ]] || die_usage "usage: vm/picture.sh [KERNEL]"
load_guest "${1:-debian-13}"
ko=$("$VM/module.sh" "$KERNEL")
command=$("$VM/program.sh" --dev knetstat "$KERNEL")
draw=$("$VM/program.sh" --dev picture "$KERNEL")
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# picture FILE SCENE
picture() {
	local file=$TOP/docs/$1
	"$VM/run.sh" --module "$ko" --with "$command" --timeout 300 "$KERNEL" "/knetstat/vm/picture-guest $2" > "$output"
	"$draw" < "$output" > "$output.svg"
	mv "$output.svg" "$file"
	chmod 644 "$file"
	note "made ${file#"$TOP/"}"
}

picture knetstat.svg overview
picture widths.svg widths
