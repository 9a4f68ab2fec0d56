#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the checks of scripts/lint.sh in the build root, and clippy for the module with a kernel that has
# Rust. Prints each finding with its file and line, ends with a line that sums up, and fails unless
# every check passed.
#
# usage: vm/lint.sh [CHECK]...
#   default: rustfmt shell mandoc generated clippy module

. "$(dirname "$0")/lib.sh"

usage="usage: vm/lint.sh [rustfmt|shell|mandoc|generated|clippy|module]..."
# A guest that `make test` takes, and whose kernel has CONFIG_RUST.
KERNEL=debug
[[ $# -gt 0 ]] || set -- rustfmt shell mandoc generated clippy module
for check; do
	[[ $check =~ ^(rustfmt|shell|mandoc|generated|clippy|module)$ ]] || die_usage "$usage"
done
check_host
"$VM/root.sh" > /dev/null

passed=0 failed=0
for check; do
	if [[ $check == module ]]; then
		run=("$VM/module.sh" --clippy "$KERNEL")
	else
		run=("$VM/in-root.sh" scripts/lint.sh "$check")
	fi
	if "${run[@]}" < /dev/null; then
		echo "test lint::$check ... ok"
		passed=$((passed + 1))
	else
		echo "test lint::$check ... FAILED, see above"
		failed=$((failed + 1))
	fi
done
verdict=ok
[[ $failed -eq 0 ]] || verdict=FAILED
echo "test result: $verdict. $passed passed; $failed failed; 0 ignored"
[[ $failed -eq 0 ]]
