#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the path of the tool that belongs to a compiler.
#
# usage: tool.sh RUSTC TOOL

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tool=$(dirname "$1")/$2
[ -x "$tool" ] || die "$tool is missing; run: $(install_command "$(tool_package "$2")")"
echo "$tool"
