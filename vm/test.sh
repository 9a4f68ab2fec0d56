#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs all tests: those that need no kernel, those of the build, and the guest tests in the
# guests that are marked for it, with those of what the module's file has in it; then shows that they
# notice what they are there for. Ends with a line that sums up, and fails unless every test passed.
#
# usage: vm/test.sh [--only TEXT] [host|build|faults|KERNEL]...    default: all of them
#   --only TEXT   of the guest tests, only those whose name contains TEXT

. "$(dirname "$0")/lib.sh"

usage="usage: vm/test.sh [--only TEXT] [host|build|faults|KERNEL]..."
ONLY=
if [[ ${1:-} == --only ]]; then
	[[ $# -ge 2 ]] || die_usage "$usage"
	# It goes through the guest's command line.
	[[ $2 =~ ^[A-Za-z0-9_:]+$ ]] || die_usage "the names of tests have letters, digits, _ and : only, not '$2'"
	ONLY=$2
	shift 2
fi
mapfile -t TESTED_GUESTS < <(tested_guests)
STAGES=(host build "${TESTED_GUESTS[@]}" faults)
[[ $# -gt 0 ]] || set -- "${STAGES[@]}"
WANTED=$*
# Other guests can be named as well.
GUESTS=()
for stage; do
	case $stage in
	host | build | faults) ;;
	*)
		[[ " $(guest_names | paste -sd' ') " == *" $stage "* ]] ||
			die_usage "no such stage: '$stage'; there are: host build faults $(guest_names | paste -sd' ')"
		GUESTS+=("$stage")
		;;
	esac
done
wanted() { [[ " $WANTED " == *" $1 "* ]]; }

LOGS=$CACHE/log/test
# The guest tests, for each architecture.
declare -A PROGRAMS=()
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

arch_of() { (load_guest "$1" && printf '%s\n' "$ARCH"); }

# guest KERNEL [ARGUMENT]...: boots it and runs the guest tests there.
guest() {
	local kernel=$1 with=() name program
	program=${PROGRAMS[$(arch_of "$kernel")]}
	shift
	for name in "$TOP"/tests/modules/*/Kbuild; do
		name=$(basename "$(dirname "$name")")
		with+=(--with "$("$VM/module.sh" --test "$name" "$kernel")")
	done
	"$VM/run.sh" --timeout 1200 --log "$LOGS/$kernel.kernel.log" --with "$program" "${with[@]}" \
		"$kernel" "\$KNETSTAT_DIR/${program##*/} $*"
}

# Static, as it runs in the root of a guest's release, where the build tree is.
module_program() {
	local flags="-C target-feature=+crt-static"
	step "building the tests of the module's file" module-tests '' "the tests of the module's file do not build" \
		"$VM/in-root.sh" env RUSTFLAGS="$flags" cargo build --locked --release \
		--manifest-path tests/Cargo.toml -p knetstat-module-tests --target x86_64-unknown-linux-gnu
}

# module_tests KERNEL: compares the module with a C module, neither of which is loaded.
# shellcheck disable=SC2034,SC2153
module_tests() (
	load_guest "$1"
	ROOT=$("$VM/root.sh")
	DIR=$("$VM/kernel.sh" "$KERNEL")
	ko=$("$VM/module.sh" "$KERNEL")
	c=$("$VM/module.sh" --test squatter "$KERNEL")
	lock_use
	mapfile -t args < <(machine_args)
	in_root_at "$(machine_root)" build env KNETSTAT_KDIR="${args[0]#KDIR=}" \
		KNETSTAT_KO="$(in_cache "$ko")" KNETSTAT_C_KO="$(in_cache "$c")" "$IN_CACHE/target/x86_64-unknown-linux-gnu/release/knetstat-module-tests"
)

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

# What a kernel says when something is wrong.
BAD_LOG='BUG: |WARNING: |KASAN: |UBSAN: |Oops|INFO: task .* blocked|rcu: INFO|suspicious RCU usage|general protection'

# fault NAMES KERNEL BOOT EXPECTED COMMAND: a module with these rules broken on purpose
# (KNETSTAT_FAULT in Kbuild; "-": none), loaded in a guest with BOOT ("-": nothing) added to
# its command line. COMMAND is the exact name of a guest test, or a shell command.
# EXPECTED is one of
#   passes        the test passes, and the kernel's log is clean
#   fails         the test runs to its end, and reports a failure
#   log:PATTERN   the kernel's log has a line that matches
fault() {
	local names=$1 kernel=$2 boot=$3 expected=$4 command=$5
	local what make=() run=(--timeout 120) ko log out ok='' status=0 program
	program=${PROGRAMS[$(arch_of "$kernel")]}
	what="fault::$names: ${command%%[ $'\n']*} ($kernel) ${expected%%:*}"
	log=$LOGS/fault-$names-$kernel-$faults.kernel.log out=${LOGS}/fault-$names-$kernel-$faults.log
	faults=$((faults + 1))
	[[ $names == - ]] || make=(--make "KNETSTAT_FAULT=$names")
	[[ $boot == - ]] || run+=(--append "$boot")
	case $command in
	*::*)
		run+=(--with "$program")
		command="\$KNETSTAT_DIR/${program##*/} --exact $command"
		;;
	esac
	rm -f "$log"
	ko=$("$VM/module.sh" "${make[@]}" "$kernel")
	"$VM/run.sh" "${run[@]}" --module "$ko" --log "$log" "$kernel" "$command" > "$out" 2>&1 || status=$?
	case $expected in
	passes)
		if grep -q '^test result: ok\. 1 passed' "$out" && [[ $status -eq 0 ]] && ! grep -qE "$BAD_LOG" "$log"; then ok=yes; fi
		;;
	# A guest that dies or is ended has another status.
	fails) if grep -q '^test result: FAILED\. 0 passed; 1 failed' "$out" && [[ $status -eq 101 ]]; then ok=yes; fi ;;
	log:*) if grep -qE -- "${expected#log:}" "$log" 2> /dev/null; then ok=yes; fi ;;
	*) die "no such expectation: $expected" ;;
	esac
	if [[ -n $ok ]]; then
		echo "test $what ... ok"
		[[ $expected != log:* ]] || grep -m 1 -E -- "${expected#log:}" "$log" | sed 's/^/     /'
		add 1 0 0 "$what"
	else
		echo "test $what ... FAILED (see $out and $log)"
		grep -m 1 -E "$BAD_LOG" "$log" 2> /dev/null | sed 's/^/     /' || true
		tail -n 3 "$out" | sed 's/^/     /'
		add 0 1 0 "$what"
	fi
}

# Each mend with the rule that it mends broken, and the window that hid it widened or the
# case forced: without the mend the test fails, with it the test passes. A few cases need
# two CPUs, and some a kernel with few UDP slots.
FEW_SLOTS=uhash_entries=256
all_faults() {
	faults=0
	fault oob debug - 'log:BUG: KASAN: .*out-of-bounds' "$REQUEST_ROW"
	fault sleep debug - 'log:BUG: (scheduling while atomic|sleeping function called from invalid context)' "$REQUEST_ROW"
	fault slow-look debug - passes faults::listener_between_tables
	fault slow-look debian - passes faults::listener_between_tables
	fault slow-look,no-sock-lock debian - fails faults::listener_between_tables
	fault lost-place debug $FEW_SLOTS passes faults::place_lost_every_round
	fault lost-place,same-visits debug $FEW_SLOTS fails faults::place_lost_every_round
	fault lost-place,same-visits debug $FEW_SLOTS passes faults::reader_can_be_killed
	fault lost-place,same-visits,deaf debug $FEW_SLOTS fails faults::reader_can_be_killed
	fault - debug $FEW_SLOTS passes faults::sleeping_reader_pins_nothing
	fault keep-foreign debug $FEW_SLOTS fails faults::sleeping_reader_pins_nothing
}
# The guests that they run in.
FAULT_GUESTS=(debug debian)

check_host
"$VM/root.sh" > /dev/null
mkdir -p "$LOGS"
begun=$SECONDS

# Kernels and programs are made side by side, as parts of each build keep one CPU busy only.
KERNELS=("${GUESTS[@]}")
if wanted faults; then
	for kernel in "${FAULT_GUESTS[@]}"; do
		[[ " ${KERNELS[*]} " == *" $kernel "* ]] || KERNELS+=("$kernel")
	done
fi
for kernel in "${KERNELS[@]}"; do begin "$kernel-kernel" "$VM/kernel.sh" "$kernel"; done
for kernel in "${KERNELS[@]}"; do
	arch=$(arch_of "$kernel")
	[[ -n ${PROGRAMS[$arch]:-} ]] || PROGRAMS[$arch]=$("$VM/program.sh" knetstat-guest-tests "$kernel")
done
for kernel in "${KERNELS[@]}"; do
	finish "$kernel-kernel"
	# The list of options is compared with the source of a kernel, if one was unpacked.
	source=$("$VM/kernel.sh" "$kernel")/source
	[[ ! -L $source ]] || export KNETSTAT_LINUX_SOURCE=$IN_CACHE/${source#"$CACHE/"}
done

# Emulated guests are slow: they run beside all the rest, one after the other.
EMULATED=() OTHERS=()
for kernel in "${GUESTS[@]}"; do
	if (load_guest "$kernel" && [[ $SCALE == emulated ]]); then EMULATED+=("$kernel"); else OTHERS+=("$kernel"); fi
done
emulated() {
	local kernel status
	for kernel; do
		status=0
		guest "$kernel" "$ONLY" > "$LOGS/$kernel.log" 2>&1 || status=$?
		echo "$status" > "$LOGS/$kernel.status"
	done
}
if [[ ${#EMULATED[@]} -gt 0 ]]; then
	note "== ${EMULATED[*]} (output comes at the end)"
	[[ -n $ONLY ]] || module_program
	for kernel in "${EMULATED[@]}"; do
		rm -f "$LOGS/$kernel.status"
		"$VM/module.sh" "$kernel" > /dev/null
		[[ -n $ONLY ]] || run "$kernel-module" module_tests "$kernel"
	done
	begin emulated emulated "${EMULATED[@]}"
fi
for package in host build; do
	if wanted "$package"; then
		note "== $package"
		run "$package" "$VM/in-root.sh" cargo test --locked --manifest-path tests/Cargo.toml -p "knetstat-$package-tests"
	fi
	if [[ $package == host ]] && wanted host; then fuzz; fi
done
for kernel in "${OTHERS[@]}"; do
	note "== $kernel"
	run "$kernel" guest "$kernel" "$ONLY"
done
if wanted faults; then
	note "== faults"
	all_faults
fi
if [[ ${#EMULATED[@]} -gt 0 ]]; then
	wait "${begun_pid[emulated]}" || true
	unset "begun_pid[emulated]"
	for kernel in "${EMULATED[@]}"; do
		note "== $kernel"
		cat "$LOGS/$kernel.log" || true
		tally "$kernel" "$LOGS/$kernel.log" "$(cat "$LOGS/$kernel.status" 2> /dev/null || echo 1)"
	done
fi

note ""
note "$(elapsed $((SECONDS - begun))) min; logs are in $LOGS"
[[ ${#failures[@]} -eq 0 ]] || note "failed: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 && $passed -gt 0 ]]
