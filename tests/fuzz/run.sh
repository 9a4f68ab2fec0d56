#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the fuzz targets, src/TARGET.rs, with the build root's compiler, and runs them there. What
# they learnt is kept in the cache for the next time, and so is an input that fails.
#
# usage: tests/fuzz/run.sh SECONDS [TARGET]...        each for so long (default: all)
#        tests/fuzz/run.sh --runs N [TARGET]...       as a test: from nothing, N inputs

. "$(dirname "$0")/../../vm/lib.sh"

usage="usage: tests/fuzz/run.sh SECONDS [TARGET]... | --runs N [TARGET]..."
runs=
if [[ ${1:-} == --runs ]]; then
	runs=yes
	shift
fi
[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || die_usage "$usage"
many=$1
shift
[[ $# -gt 0 ]] || set -- format command
for target; do
	[[ $target =~ ^[a-z]+$ && -f $TOP/tests/fuzz/src/$target.rs ]] || die_usage "$usage"
done

# What vm-clean removes, too.
DIR=$(in_cache "$CARGO_TARGET")/fuzz
cd "$TOP/tests/fuzz"
# Without a backtrace, which would hide what is wrong.
in_fuzz() { "$VM/in-root.sh" env RUST_BACKTRACE=0 CARGO_TARGET_DIR="$DIR" "$@"; }

step "building the fuzz targets" fuzz-build '' "the fuzz targets do not build" \
	in_fuzz cargo build --locked --release --features fuzzer

# Inputs are long from the first on: short ones are no row with filters.
for target; do
	program=$DIR/x86_64-unknown-linux-gnu/release/$target
	mkdir -p "$CACHE/${DIR#"$IN_CACHE/"}"/{corpus,failed}/"$target"
	if [[ -n $runs ]]; then
		options=(-runs="$many")
		what="fuzzing $target with $many inputs"
	else
		options=(-max_total_time="$many" "$DIR/corpus/$target")
		what="fuzzing $target for $many s; inputs that reach something new"
	fi
	step "$what" "fuzz-$target$OF_TOP" '^#[0-9]+[[:space:]]+(NEW|REDUCE)' \
		"$target is wrong; the input has the name above; again: cd tests/fuzz; ../../vm/in-root.sh $program FILE" \
		in_fuzz "$program" -max_len=300 -len_control=0 -print_final_stats=1 -artifact_prefix="$DIR/failed/$target/" "${options[@]}"
	grep -E '^(INFO: Seed|Done)|DONE' "$CACHE/log/fuzz-$target$OF_TOP.log"
done
