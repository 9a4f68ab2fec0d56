#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the fuzz target with the build root's compiler, and runs it there. What it learnt
# is kept in the cache for the next time, and so is an input that fails.
#
# usage: tests/fuzz/run.sh SECONDS
#        tests/fuzz/run.sh --runs N      as a test: from nothing, N inputs

. "$(dirname "$0")/../../vm/lib.sh"

usage="usage: tests/fuzz/run.sh SECONDS | --runs N"
runs=
if [[ ${1:-} == --runs ]]; then
	runs=yes
	shift
fi
[[ $# -eq 1 && $1 =~ ^[1-9][0-9]*$ ]] || die_usage "$usage"

# What vm-clean removes, too.
DIR=$(in_cache "$CARGO_TARGET")/fuzz
PROGRAM=$DIR/x86_64-unknown-linux-gnu/release/knetstat-fuzz
cd "$TOP/tests/fuzz"
# Without a backtrace, which would hide what is wrong.
in_fuzz() { "$VM/in-root.sh" env RUST_BACKTRACE=0 CARGO_TARGET_DIR="$DIR" "$@"; }

step "building the fuzz target" fuzz-build '' "the fuzz target does not build" \
	in_fuzz cargo build --locked --release --features fuzzer

if [[ -n $runs ]]; then
	options=(-runs="$1")
	what="fuzzing format.rs with $1 inputs"
else
	options=(-max_total_time="$1" "$DIR/corpus")
	what="fuzzing format.rs for $1 s; inputs that reach something new"
fi
mkdir -p "$CACHE/${DIR#"$IN_CACHE/"}"/{corpus,failed}
step "$what" fuzz '^#[0-9]+[[:space:]]+(NEW|REDUCE)' \
	"format.rs is wrong; the input has the name above; again: cd tests/fuzz; ../../vm/in-root.sh $PROGRAM FILE" \
	in_fuzz "$PROGRAM" -max_len=1024 -print_final_stats=1 -artifact_prefix="$DIR/failed/" "${options[@]}"
grep -E '^(INFO: Seed|Done)|DONE' "$CACHE/log/fuzz.log"
