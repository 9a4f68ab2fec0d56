#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# vendor.sh: packs the crates of tools/Cargo.lock, ./knetstat-VERSION-vendor.tar.xz. Unpacked over
# what `make dist` has packed, the command is built from them, without a network.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."

cargo=${CARGO:-cargo}
have "$cargo" || die "cargo is missing, which fetches the crates; run: $(install_command "$CARGO_PACKAGE")"
name=knetstat-$(scripts/version.sh)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tools=$scratch/$name/tools
mkdir -p "$tools/.cargo"
"$cargo" vendor --quiet --locked --manifest-path tools/Cargo.toml "$tools/vendor" > /dev/null
cat > "$tools/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
END
# The same from the same crates.
tar -C "$scratch" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c "$name" | xz -9 > "$name-vendor.tar.xz"
echo "$name-vendor.tar.xz"
