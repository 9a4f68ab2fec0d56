#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the command statically and compares it with ss in a guest.
#
# usage: tools/knetstat/tests/run.sh GUEST

set -euo pipefail
[[ $# -eq 1 ]] || { echo "usage: $0 GUEST" >&2; exit 2; }
unset CDPATH
cd "$(dirname "$0")/../../.."

program=$(vm/program.sh --dev knetstat "$1")
# Each comparison starts two programs, which takes long where all code is emulated.
# shellcheck disable=SC2016
exec vm/run.sh --timeout 1800 --with "$program" --with tools/knetstat/tests/against_ss.py "$1" \
	'python3 $KNETSTAT_DIR/against_ss.py'
