#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs a command in the build root. The checkout is /knetstat there, and the working directory is the
# checkout or, if the caller is in a directory of it, that directory. cargo's target directory and home are
# in the cache.
#
# usage: vm/in-root.sh COMMAND [ARGUMENT]...

. "$(dirname "$0")/lib.sh"

[[ $# -gt 0 ]] || die_usage "usage: vm/in-root.sh COMMAND [ARGUMENT]..."
ROOT=$("$VM/root.sh")
check_host
lock_use
cargo_settings
case $PWD/ in
"$TOP"/*) in_root env -C "$IN_TOP${PWD#"$TOP"}" "$@" ;;
*) in_root env -C "$IN_TOP" "$@" ;;
esac
