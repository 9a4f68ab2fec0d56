#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that the tests notice mistakes. Applies each patch in tests/mutants/ to a copy of the checkout, and
# runs the test that must catch it. Prints a table, and fails if a mistake is not caught, is caught in
# another way than its patch says, or does not apply any more.
#
# usage: vm/mutants.sh [NAME]...
#
# A mutant is a patch. The lines above it describe the mistake and say
#   Guest: NAME       the guest that it is built and tested for; "host" for none
#   Test: NAME        the exact name of the test that must catch it; "make" if it must not compile
#   Expect: HOW       "fails": the test runs to its end, and reports a failure
#                     "log: PATTERN": the kernel's log has a line that matches
#                     "build: PATTERN": the compiler prints a line that matches
# First, all these tests run in each guest with the unchanged module, and must pass.

. "$(dirname "$0")/lib.sh"

MUTANTS=$TOP/tests/mutants
if [[ $# -eq 0 ]]; then
	mapfile -t names < <(find "$MUTANTS" -name '*.patch' -printf '%f\n' | LC_ALL=C sort)
	names=("${names[@]%.patch}")
else
	names=("$@")
fi
[[ ${#names[@]} -gt 0 ]] || die "there is no patch in tests/mutants/"
for name in "${names[@]}"; do
	[[ -f $MUTANTS/$name.patch ]] || die_usage "no such mutant: '$name'; they are in tests/mutants/"
done

# about NAME FIELD: the value of a field above the patch.
about() { sed -n -e '/^---$/q' -e "s/^$2: //p" "$MUTANTS/$1.patch"; }
title() { head -n 1 "$MUTANTS/$1.patch"; }

check_host
ROOT=$("$VM/root.sh")
begun=$SECONDS
LOGS=$CACHE/log/mutants$OF_TOP
# Always the same directory, so that make rebuilds only what differs from the previous mutant.
COPY=$CACHE/mutants/$OF_TOP
mkdir -p "$LOGS" "$COPY"
exec 6> "$COPY.lock"
flock -n 6 || die "the mutants of this checkout are being run already ($COPY.lock)"
find "$LOGS" -mindepth 1 -delete

LOST='does not apply any more. Make the same mistake in the current sources'

# copy: updates the copy. Files that it changes back get a new time, because cargo and make go by times and
# would use the objects of a mutant.
copy() {
	in_root rsync -rlpgoD --checksum --delete --filter=':- .gitignore' --exclude=/.git --exclude=target "$IN_TOP/" "$(in_cache "$COPY")/"
}
# in_copy ARGUMENT...: git apply, in the copy.
in_copy() {
	local name=$1
	shift
	# git must not look for a repository in the directories above.
	in_root env -C "$(in_cache "$COPY")" GIT_CEILING_DIRECTORIES="$(in_cache "$(dirname "$COPY")")" \
		git apply "$@" "$IN_TOP/tests/mutants/$name.patch"
}

copy
lost=()
for name in "${names[@]}"; do
	in_copy "$name" --check 2> "$LOGS/$name.apply" || lost+=("$name")
	for field in Guest Test Expect; do
		[[ -n $(about "$name" "$field") ]] || die "$MUTANTS/$name.patch does not say $field:"
	done
done
if [[ -n ${lost[*]} ]]; then
	for name in "${lost[@]}"; do
		note "tests/mutants/$name.patch $LOST:"
		sed 's/^/    | /' "$LOGS/$name.apply" >&2
	done
	exit 1
fi

PROGRAM=$("$VM/program.sh" knetstat-guest-tests debug)
program=${PROGRAM##*/}
# The other module that the tests of a guest need.
declare -A squatters=()
for name in "${names[@]}"; do
	guest=$(about "$name" Guest)
	[[ $guest == host || -n ${squatters[$guest]:-} ]] || squatters[$guest]=$("$VM/module.sh" --test squatter "$guest")
done

# host_tests [TEST]: runs the host tests of the copy.
host_tests() {
	"$COPY/vm/in-root.sh" cargo test --locked --manifest-path tests/Cargo.toml -p knetstat-host-tests "$@"
}
# They compare the list of options with the source of a kernel.
if [[ " $(for name in "${names[@]}"; do about "$name" Guest; done | paste -sd' ') " == *" host "* ]]; then
	source=$("$VM/kernel.sh" uml)/source
	[[ ! -L $source ]] || export KNETSTAT_LINUX_SOURCE=$IN_CACHE/${source#"$CACHE/"}
	host_tests > "$LOGS/host.sound.out" 2>&1 || die "without a mistake, the host tests do not all pass; see $LOGS/host.sound.out"
fi

# build NAME: applies the mutant, compiles, and reverts it. The module is in $LOGS/NAME/; if there is none,
# NAME.build says why. A host test runs here, too, with its output in NAME.out.
build() {
	local name=$1 guest ko
	guest=$(about "$name" Guest)
	in_copy "$name"
	if [[ $guest == host ]]; then
		host_tests "$(about "$name" Test)" > "$LOGS/$name.out" 2>&1 || true
	elif ko=$("$COPY/vm/module.sh" "$guest" 2> "$LOGS/$name.build"); then
		mkdir -p "$LOGS/$name"
		cp "$ko" "$LOGS/$name/"
	fi
	in_copy "$name" -R
}

failed=0
rows=()
# verdict NAME TEST HOW [MESSAGE]: reports a result. HOW is empty if the mutant survived.
verdict() {
	local name=$1 test=$2 how=$3
	if [[ -n $how ]]; then
		echo "test mutant::$name ... ok ($how${4:+: $4})"
	else
		echo "test mutant::$name ... FAILED (not caught by $test; see $LOGS/$name.*)"
		tail -n 5 "$LOGS/$name.out" 2> /dev/null | sed 's/^/     /' || true
		failed=$((failed + 1))
		how="NOT CAUGHT"
	fi
	rows+=("| \`$name\` | $(title "$name") | \`$test\` | $how |")
}

# reason FILE: the first line of the failure in the output of a test.
reason() {
	awk '/^---- / { inside = 1; next }
		/^failures:$/ { inside = 0 }
		inside && !/^ *$/ { print substr($0, 1, 120); exit }' <(tr -d '\r' < "$1")
}

# judge NAME: waits for the build, runs the test, and compares the result with Expect.
judge() {
	local name=$1 guest test expect status=0 line how='' what='' ko=$LOGS/$1/knetstat.ko
	guest=$(about "$name" Guest) test=$(about "$name" Test) expect=$(about "$name" Expect)
	read -r -u "$BUILT" line || true
	[[ $line == "$name" ]] || die "the builds ended before $name; see $LOGS/builds"
	case $guest:$expect in
	host:fails)
		grep -qE "^test result: FAILED\. 0 passed; [1-9]" "$LOGS/$name.out" && how="test fails"
		verdict "$name" "$test" "$how"
		return
		;;
	*:build:*)
		if [[ ! -f $ko ]]; then
			what=$(grep -m 1 -oE -- "${expect#build: }" "$LOGS/$name.build") && how="does not compile"
		fi
		verdict "$name" "$test" "$how" "$what"
		return
		;;
	esac
	if [[ ! -f $ko ]]; then
		grep -m 3 '| error' "$LOGS/$name.build" || true
		verdict "$name" "$test" ""
		return
	fi
	"$VM/run.sh" --timeout 150 --with "$PROGRAM" --with "${squatters[$guest]}" --module "$ko" --log "$LOGS/$name.kernel.log" "$guest" \
		"\$KNETSTAT_DIR/$program --exact $test" > "$LOGS/$name.out" 2>&1 || status=$?
	case $expect in
	# A guest that dies or is ended has another status.
	fails)
		if grep -q '^test result: FAILED\. 0 passed; 1 failed' "$LOGS/$name.out" && [[ $status -eq 101 ]]; then
			how="test fails" what=$(reason "$LOGS/$name.out")
		fi
		;;
	log:*)
		what=$(grep -m 1 -oE -- "(${expect#log: }).*" <(tr -d '\r' < "$LOGS/$name.kernel.log") | cut -c1-120) && how="kernel's log"
		;;
	*) die "tests/mutants/$name.patch has an unknown Expect: $expect" ;;
	esac
	verdict "$name" "$test" "$how" "$what"
	rm -f "$ko"
}

# sound GUEST TEST...: checks that the tests pass with the unchanged module.
sound() {
	local guest=$1 log=$LOGS/$1.sound commands='status=0;' name test status=0
	shift
	for test; do
		commands+=" \$KNETSTAT_DIR/$program --exact $test || { status=1; echo \"does not pass: $test\"; };"
	done
	"$VM/run.sh" --timeout 900 --with "$PROGRAM" --with "${squatters[$guest]}" --log "$log.kernel.log" "$guest" "$commands exit \$status" > "$log.out" 2>&1 || status=$?
	# The log must not have the line that a mutant must cause.
	for name in "${names[@]}"; do
		[[ "$(about "$name" Guest) $(about "$name" Expect)" != "$guest log: "* ]] ||
			! grep -E -- "$(about "$name" Expect | sed 's/^log: //')" "$log.kernel.log" >> "$log.out" || status=1
	done
	if [[ $status -ne 0 || $(grep -c '^test result: ok\. 1 passed' "$log.out") -ne $# ]]; then
		grep '^does not pass' "$log.out" >&2 || true
		die "without a mistake, the tests for mutants do not all pass in $guest; see $log.out and $log.kernel.log"
	fi
	echo "test mutants::none_in_$guest ... ok ($# tests pass)"
}

# The builds run in the background, beside the guests. This prints the names of those that are done.
exec {BUILT}< <(
	exec 3>&1 > "$LOGS/builds" 2>&1 < /dev/null
	for name in "${names[@]}"; do
		build "$name"
		printf '%s\n' "$name" >&3
	done
)
BUILDER=$!
trap 'kill "$BUILDER" 2> /dev/null || true' EXIT

declare -A tests=()
for name in "${names[@]}"; do
	guest=$(about "$name" Guest) test=$(about "$name" Test)
	[[ $guest != host && $test != make ]] || continue
	tests[$guest]+="$test"$'\n'
done
for guest in "${!tests[@]}"; do
	mapfile -t list < <(printf '%s' "${tests[$guest]}" | LC_ALL=C sort -u)
	sound "$guest" "${list[@]}"
done
for name in "${names[@]}"; do judge "$name"; done

echo
echo "| mutant | the mistake | caught by | how |"
echo "|---|---|---|---|"
printf '%s\n' "${rows[@]}"
echo
note "$(elapsed $((SECONDS - begun))) min; logs are in $LOGS"
echo "$((${#names[@]} - failed)) of ${#names[@]} mutants caught"
[[ $failed -eq 0 ]]
