#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Packs the crates of tools/Cargo.lock into ./knetstat-VERSION-vendor.tar.xz. Unpacked over the file that
# `make dist` packed, it lets the command be built without a network. If tools/vendor exists, it is packed.
#
# usage: vendor.sh [FILE [LEVEL]]    (default: ./knetstat-VERSION-vendor.tar.xz, and xz's level 9, which is slow)

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$scripts/.."

cargo=${CARGO:-cargo}
have "$cargo" || die "cargo is missing; run: $(install_cargo install_command)"
name=knetstat-$(scripts/version.sh)
file=${1:-$name-vendor.tar.xz}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tools=$scratch/$name/tools
mkdir -p "$tools/.cargo"
if [ -d tools/vendor ]; then
	cp -a tools/vendor "$tools/"
else
	"$cargo" vendor --quiet --locked --manifest-path tools/Cargo.toml "$tools/vendor" > /dev/null
fi
cat > "$tools/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
END
# Reproducible: the same crates make the same file.
tar -C "$scratch" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c "$name" | xz "-${2:-9}" > "$file"
echo "$file"
