#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the command, static, and holds it against ss in a guest.
#
# usage: tools/knetstat/tests/run.sh GUEST

set -euo pipefail
[[ $# -eq 1 ]] || { echo "usage: $0 GUEST" >&2; exit 2; }
cd "$(dirname "$0")/../../.."
# shellcheck source=vm/lib.sh
. vm/lib.sh

vm/in-root.sh env RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked --release \
	--manifest-path tools/Cargo.toml --target x86_64-unknown-linux-gnu
# shellcheck disable=SC2016
exec vm/run.sh --with "$CARGO_TARGET/x86_64-unknown-linux-gnu/release/knetstat" \
	--with tools/knetstat/tests/against_ss.py "$1" 'python3 $KNETSTAT_DIR/against_ss.py'
