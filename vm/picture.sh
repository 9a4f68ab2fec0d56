#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Draws docs/knetstat.svg: the command on a terminal, in a guest with an unmodified kernel of Debian.
#
# usage: vm/picture.sh [KERNEL]    default: debian-13

. "$(dirname "$0")/lib.sh"

[[ $# -le 1 ]] || die_usage "usage: vm/picture.sh [KERNEL]"
load_guest "${1:-debian-13}"
ko=$("$VM/module.sh" "$KERNEL")
command=$("$VM/program.sh" --dev knetstat "$KERNEL")
draw=$("$VM/program.sh" --dev picture "$KERNEL")
picture=$TOP/docs/knetstat.svg
output=$(mktemp)
trap 'rm -f "$output" "$picture.new"' EXIT
"$VM/run.sh" --module "$ko" --with "$command" --timeout 300 "$KERNEL" /knetstat/vm/picture-guest > "$output"
"$draw" < "$output" > "$picture.new"
mv "$picture.new" "$picture"
note "made ${picture#"$TOP/"}"
