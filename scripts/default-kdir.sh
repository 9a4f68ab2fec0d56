#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints the build tree for a kernel: that of the headers package or, with RUST=kernel, the one that
# rust-metadata.sh made, if it exists.
#
# usage: default-kdir.sh RELEASE

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

while read -r dir; do
	if [ -f "$dir/$stamp" ]; then
		echo "$dir"
		exit
	fi
done < <([ "${RUST:-}" != kernel ] || metadata_dirs "$1")
echo "$lib_modules/$1/build"
