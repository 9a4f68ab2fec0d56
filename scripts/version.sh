#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# version.sh: prints the version, which is in knetstat.rs.

sed -n 's/^const VERSION: &str = "\(.*\)";$/\1/p' "$(dirname "$0")/../knetstat.rs"
