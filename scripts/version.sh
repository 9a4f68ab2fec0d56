#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Prints the version, which is in knetstat.rs.

sed -n 's/^const VERSION: &str = "\(.*\)";$/\1/p' "$(dirname "$0")/../knetstat.rs"
