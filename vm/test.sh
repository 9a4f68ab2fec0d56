#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs all tests: those that need no kernel, those of the build, and the guest tests in
# every guest; then shows that the debug guest notices what it is there for. Ends with a
# line that sums up, and fails unless every test passed.
#
# usage: vm/test.sh [host|build|uml|debug|debian|faults]...    default: all of them

. "$(dirname "$0")/lib.sh"

STAGES=(host build uml debian debug faults)
[[ $# -gt 0 ]] || set -- "${STAGES[@]}"
for stage; do
	[[ " ${STAGES[*]} " == *" $stage "* ]] || die_usage "no such stage: '$stage'; there are: ${STAGES[*]}"
done
wanted() { [[ " $WANTED " == *" $1 "* ]]; }
WANTED=$*

LOGS=$CACHE/log/test
TARGET=x86_64-unknown-linux-gnu
PROGRAM=$CACHE/target/$TARGET/release/knetstat-guest-tests
passed=0 failed=0 skipped=0
failures=()

# add PASSED FAILED SKIPPED WHAT
add() {
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
	[[ $2 -eq 0 ]] || failures+=("$4")
}

# tally WHAT LOG STATUS: adds up the closing lines of the test harnesses in a log. A run
# that failed without counting a failure, or that ran no test, is one failure.
tally() {
	local what=$1 log=$2 status=$3 counts
	counts=$(tr -d '\r' < "$log" | awk '
		/^test result: / {
			for (i = 1; i < NF; i++) {
				if ($(i + 1) ~ /^passed/) p += $i
				if ($(i + 1) ~ /^failed/) f += $i
				if ($(i + 1) ~ /^ignored/) s += $i
			}
		}
		END { print p + 0, f + 0, s + 0 }')
	# shellcheck disable=SC2086
	set -- $counts
	if [[ $2 -eq 0 && ($status -ne 0 || $1 -eq 0) ]]; then
		note "  $what: ended with status $status after $1 tests; see $log"
		set -- "$1" 1 "$3"
	fi
	add "$1" "$2" "$3" "$what"
	note "  $what: $1 passed, $2 failed, $3 skipped"
}

# run WHAT COMMAND...: shows the output as it comes, and counts the tests in it.
run() {
	local what=$1 log=$LOGS/$1.log status=0
	shift
	"$@" 2>&1 | tee "$log" || status=$?
	tally "$what" "$log" "$status"
}

# begin NAME COMMAND...: runs something in the background, with its output in a log.
declare -A begun_pid=()
begin() {
	local name=$1
	shift
	# In a process group of its own, so that all of it can be ended.
	set -m
	"$@" < /dev/null > "$LOGS/$name.log" 2>&1 &
	set +m
	begun_pid[$name]=$!
	trap 'for pid in "${begun_pid[@]}"; do kill -- "-$pid" 2> /dev/null || true; done' EXIT
}

# finish NAME: shows what became of it, as it goes on.
finish() {
	local name=$1 pid=${begun_pid[$1]}
	tail -n +1 -f --pid="$pid" "$LOGS/$name.log" >&2
	wait "$pid" || die "this failed, see above: $name"
	unset "begun_pid[$name]"
}

guest_program() {
	local flags="-C target-feature=+crt-static"
	step "building the guest tests" guest-tests '' "the guest tests do not build" \
		"$VM/in-root.sh" env RUSTFLAGS="$flags" cargo build --locked --release \
		--manifest-path tests/Cargo.toml -p knetstat-guest-tests --target "$TARGET"
}

# guest KERNEL: boots it and runs the guest tests there.
guest() {
	local kernel=$1 with=() name
	for name in "$TOP"/tests/modules/*/Kbuild; do
		name=$(basename "$(dirname "$name")")
		with+=(--with "$("$VM/module.sh" --test "$name" "$kernel")")
	done
	"$VM/run.sh" --timeout 1200 --log "$LOGS/$kernel.kernel.log" --with "$PROGRAM" "${with[@]}" \
		"$kernel" "\$KNETSTAT_DIR/${PROGRAM##*/}"
}

# Any input, as far as a few seconds go.
fuzz() {
	local log=$LOGS/fuzz.log
	if "$TOP/tests/fuzz/run.sh" --runs 300000 > "$log"; then
		echo "test fuzz::format ... ok"
		add 1 0 0 fuzz
	else
		echo "test fuzz::format ... FAILED"
		add 0 1 0 fuzz
	fi
	sed 's/^/     /' "$log"
}

# A row of a request is what the C module read too much of.
REQUEST_ROW='python3 -c "
import socket
s = socket.socket(); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
s.bind((\"127.0.0.1\", 7777)); s.listen()
c = socket.create_connection((\"127.0.0.1\", 7777))
text = open(\"/proc/net/tcpstat\").read()
assert \"SYNR\" in text, text
"'

# fault NAME PATTERN: a module in which one rule is broken makes the debug guest's kernel
# complain.
fault() {
	local name=$1 pattern=$2 log=$LOGS/fault-$1.kernel.log ko
	ko=$("$VM/module.sh" --make "KNETSTAT_FAULT=$name" debug)
	rm -f "$log"
	"$VM/run.sh" --timeout 120 --module "$ko" --log "$log" debug "$REQUEST_ROW" \
		> "$LOGS/fault-$name.log" 2>&1 || true
	if grep -qE "$pattern" "$log" 2> /dev/null; then
		echo "test fault::$name is noticed by the debug guest ... ok"
		grep -m 1 -E "$pattern" "$log" | sed 's/^/     /'
		add 1 0 0 "fault $name"
	else
		echo "test fault::$name is noticed by the debug guest ... FAILED (see $log)"
		add 0 1 0 "fault $name"
	fi
}

check_host
"$VM/root.sh" > /dev/null
mkdir -p "$LOGS"
begun=$SECONDS

# Kernels and programs are made side by side, as parts of each build keep one CPU busy only.
wants_debug() { wanted debug || wanted faults; }
wants_program() { wanted uml || wanted debug || wanted debian; }
if wants_debug; then begin debug-kernel "$VM/kernel.sh" debug; fi
if wants_program; then begin guest-program guest_program; fi
for stage in debian uml; do
	if wanted "$stage"; then "$VM/kernel.sh" "$stage" > /dev/null; fi
done
if wants_program; then finish guest-program; fi
if wants_debug; then finish debug-kernel; fi
# The list of options is compared with the source of the kernel.
for stage in uml debug; do
	if wanted "$stage" || { [[ $stage == debug ]] && wants_debug; }; then
		kernel=$("$VM/kernel.sh" "$stage")
		export KNETSTAT_LINUX_SOURCE=$IN_CACHE/${kernel##*/}/source
	fi
done

# The stock kernel is emulated and slow: it runs beside all the rest.
if wanted debian; then
	note "== debian (its output comes at the end)"
	"$VM/module.sh" debian > /dev/null
	begin debian guest debian
fi
for package in host build; do
	if wanted "$package"; then
		note "== $package"
		run "$package" "$VM/in-root.sh" cargo test --locked --manifest-path tests/Cargo.toml -p "knetstat-$package-tests"
	fi
	if [[ $package == host ]] && wanted host; then fuzz; fi
done
for kernel in uml debug; do
	if wanted "$kernel"; then
		note "== $kernel"
		run "$kernel" guest "$kernel"
	fi
done
if wanted faults; then
	note "== faults"
	fault oob 'BUG: KASAN: .*out-of-bounds'
	fault sleep 'BUG: (scheduling while atomic|sleeping function called from invalid context)'
fi
if wanted debian; then
	note "== debian"
	status=0
	wait "${begun_pid[debian]}" || status=$?
	unset "begun_pid[debian]"
	cat "$LOGS/debian.log"
	tally debian "$LOGS/debian.log" "$status"
fi

note ""
note "$(elapsed $((SECONDS - begun))) min; logs are in $LOGS"
[[ ${#failures[@]} -eq 0 ]] || note "failed: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 && $passed -gt 0 ]]
