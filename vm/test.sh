#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the tests. Ends with a line that sums up, and fails unless every test passed.
#
# usage: vm/test.sh [--only TEXT] [STAGE]...
#   --only TEXT   of the guest tests, run only those whose name contains TEXT
#
# The stages are
#   lint      the checks of vm/lint.sh
#   host      the tests that need no kernel, and a short run of the fuzzers
#   build     the tests of the messages of `make`
#   KERNEL    a guest: the tests in it. In QEMU also the contents of the module's file and, on amd64, the
#             command beside ss; in the first guest of User Mode Linux also the commands of the README
#   faults    modules with a mistake on purpose, which the tests must notice
#   c-module  the C module of the same name beside ours; KNETSTAT_C_MODULE is a checkout of it
#   all       all stages, with all guests but those that run only if they are named
# The default is all stages, with the guests that are marked for it; c-module is one of them if
# KNETSTAT_C_MODULE is set. KNETSTAT_LONG=2 repeats the random parts of adversity:: twice as often, and
# lets readers pause for a minute rather than a second. With KNETSTAT_TIMES=1, each guest test prints its time.

. "$(dirname "$0")/lib.sh"

usage="usage: vm/test.sh [--only TEXT] [lint|host|build|faults|c-module|KERNEL|all]..."
ONLY=
if [[ ${1:-} == --only ]]; then
	[[ $# -ge 2 ]] || die_usage "$usage"
	# It is part of a shell command in the guest.
	[[ $2 =~ ^[A-Za-z0-9_:]+$ ]] || die_usage "a test's name may contain only letters, digits, _ and :, so not '$2'"
	ONLY=$2
	shift 2
fi
[[ ${KNETSTAT_LONG:=1} =~ ^[1-9][0-9]*$ ]] || die_usage "KNETSTAT_LONG must be a positive number, not '$KNETSTAT_LONG'"
stages() {
	printf '%s\n' lint host build "$@" faults
	[[ -z ${KNETSTAT_C_MODULE:-} ]] || echo c-module
}
# shellcheck disable=SC2046
[[ $# -gt 0 ]] || set -- $(stages $(tested_guests))
# shellcheck disable=SC2046
[[ $* != all ]] || set -- $(stages $(all_guests))
WANTED=$*
# The guests, in two lists: those in which all code is emulated, and the others.
EMULATED=() OTHERS=()
for stage; do
	case $stage in
	lint | host | build | faults | c-module) continue ;;
	esac
	(check_kernel_name "$stage" 2> /dev/null) ||
		die_usage "no such stage: '$stage'; there are: all lint host build faults c-module $(guest_names | paste -sd' ')"
	guest=$(load_guest "$stage" && printf '%s %s\n' "$SCALE" "$KERNEL")
	case $guest in
	emulated\ * | slowest\ *) EMULATED+=("${guest#* }") ;;
	*) OTHERS+=("${guest#* }") ;;
	esac
done
wanted() { [[ " $WANTED " == *" $1 "* ]]; }

# Each checkout has its own logs, because several may be tested at once.
LOGS=$CACHE/log/test$OF_TOP
# The guest tests and the command, for each architecture.
declare -A PROGRAMS=() COMMANDS=()
passed=0 failed=0 skipped=0
failures=()

# add PASSED FAILED SKIPPED WHAT
add() {
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
	[[ $2 -eq 0 ]] || failures+=("$4")
}

# tally WHAT LOG STATUS: adds up the closing lines of the test harnesses in a log. A run that failed without
# a failed test, or that ran no test, counts as one failure.
tally() {
	local what=$1 log=$2 status=$3 counts
	[[ -f $log ]] || : > "$log"
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

# run WHAT COMMAND...: runs it, shows its output as it comes, and counts the tests in it.
run() {
	local what=$1 log=$LOGS/$1.log status=0
	shift
	"$@" 2>&1 | tee "$log" || status=$?
	tally "$what" "$log" "$status"
}

# begin NAME COMMAND...: runs the command in the background, with its output in a log.
declare -A begun_pid=()
begin() {
	local name=$1
	shift
	# In a process group of its own, so that all its processes can be ended.
	set -m
	"$@" < /dev/null > "$LOGS/$name.log" 2>&1 &
	set +m
	begun_pid[$name]=$!
	trap 'for pid in "${begun_pid[@]}"; do kill -- "-$pid" 2> /dev/null || true; done' EXIT
}

# finish NAME: shows the output of such a command until it ends; ends the script if it failed.
finish() {
	local name=$1 pid=${begun_pid[$1]}
	tail -n +1 -f --pid="$pid" "$LOGS/$name.log" >&2
	wait "$pid" || die "this failed, see above: $name"
	unset "begun_pid[$name]"
}

arch_of() { (load_guest "$1" && printf '%s\n' "$ARCH"); }
timeout_of() { (load_guest "$1" && printf '%s\n' "$TIMEOUT"); }

# guest KERNEL [ARGUMENT]...: boots the guest and runs the guest tests in it.
guest() {
	local kernel=$1 with=() name program arch
	arch=$(arch_of "$kernel")
	program=${PROGRAMS[$arch]}
	with=(--with "$program" --with "${COMMANDS[$arch]}")
	shift
	for name in "$TOP"/tests/modules/*/Kbuild; do
		name=$(basename "$(dirname "$name")")
		with+=(--with "$("$VM/module.sh" --test "$name" "$kernel")")
	done
	# With slab_nomerge, the slab caches show how many sockets of each kind exist. The log must hold what
	# the kernel prints when many processes run out of memory.
	"$VM/run.sh" --timeout "$(timeout_of "$kernel")" --log "$LOGS/$kernel.kernel.log" \
		--append "slab_nomerge log_buf_len=4M" "${with[@]}" "$kernel" "KNETSTAT_LONG=$KNETSTAT_LONG ${KNETSTAT_TIMES:+KNETSTAT_TIMES=1} \$KNETSTAT_DIR/${program##*/} $*"
}

# has_module_tests KERNEL: whether the module's file is tested: only with RUST=standalone, whose rules for
# rustc are ours.
has_module_tests() { [[ -z $ONLY ]] && (load_guest "$1" && [[ -z $METADATA ]]); }

# has_command_tests KERNEL: whether the command is compared with ss. This needs ss and Python, from the build
# root, which guests of its architecture boot from.
has_command_tests() { [[ -z $ONLY && $(arch_of "$1") == amd64 ]]; }

# command_tests KERNEL: compares the command with ss.
command_tests() { "$TOP/tools/knetstat/tests/run.sh" "$1"; }

# module_tests KERNEL: compares the module's file with that of a C module for the same kernel. Neither is
# loaded.
# shellcheck disable=SC2034,SC2153
module_tests() (
	load_guest "$1"
	program=${MODULE_PROGRAM#"$CACHE/"}
	ROOT=$("$VM/root.sh")
	DIR=$("$VM/kernel.sh" "$KERNEL")
	ko=$("$VM/module.sh" "$KERNEL")
	c=$("$VM/module.sh" --test squatter "$KERNEL")
	lock_use
	mapfile -t args < <(machine_args)
	in_root_at "$(machine_root)" build env KNETSTAT_KDIR="${args[0]#KDIR=}" \
		KNETSTAT_KO="$(in_cache "$ko")" KNETSTAT_C_KO="$(in_cache "$c")" "$IN_CACHE/$program"
)

# The C module builds and runs in this guest. It has the same name as ours, so it is in a directory of its
# own.
C_MODULE_GUEST=debian-12
c_module() {
	local from dir status=0
	from=$("$VM/c-module.sh" "$KNETSTAT_C_MODULE" "$C_MODULE_GUEST") || return
	dir=$(mktemp -d "$CACHE/run/c-module.XXXXXX")
	chmod 755 "$dir"
	mkdir "$dir/c"
	cp "$from/knetstat.ko" "$dir/c/"
	"$VM/run.sh" --timeout 1200 --log "$LOGS/c-module.kernel.log" --dir "$dir" --with "${PROGRAMS[amd64]}" \
		"$C_MODULE_GUEST" "\$KNETSTAT_DIR/${PROGRAMS[amd64]##*/} c_module::" || status=$?
	remove_tree "$dir"
	return "$status"
}

# verdict NAME STATUS [LOG]: reports the result of a test, as the harnesses do, and counts it.
verdict() {
	if [[ $2 -eq 0 ]]; then
		echo "test $1 ... ok"
		add 1 0 0 "$1"
	else
		echo "test $1 ... FAILED${3:+ (see $3)}"
		add 0 1 0 "$1"
	fi
}

# fuzz TARGET RUNS: runs a fuzz target for a few seconds.
fuzz() {
	local target=$1 runs=$2 log=$LOGS/fuzz-$1.log status=0
	"$TOP/tests/fuzz/run.sh" --runs "$runs" "$target" > "$log" || status=$?
	verdict "fuzz::$target" "$status"
	sed 's/^/     /' "$log"
}

# shows NAME PATTERN TARGET...: runs make TARGET, which the README suggests; a line of its output must match.
shows() {
	local name=$1 pattern=$2 log=$LOGS/readme-$1.log status=0
	shift 2
	# Without the variables of the make that runs this script.
	{
		env -u MAKEFLAGS -u MAKEOVERRIDES make -C "$TOP" "$@" > "$log" 2>&1 &&
			grep -qE -- "$pattern" "$log"
	} || status=$?
	verdict "readme::$name" "$status" "$log"
}

# Makes a connection request, whose row the C module read beyond its end.
REQUEST_ROW='python3 -c "
import socket
s = socket.socket(); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
s.bind((\"127.0.0.1\", 7777)); s.listen()
c = socket.create_connection((\"127.0.0.1\", 7777))
text = open(\"/proc/net/tcpstat\").read()
assert \"SYNR\" in text, text
"'

# The messages of a kernel that has found a bug.
BAD_LOG='BUG: |WARNING: |KASAN: |UBSAN: |Oops|INFO: task .* blocked|rcu: INFO|suspicious RCU usage|general protection'

# fault NAMES KERNEL BOOT EXPECTED COMMAND: builds a module that breaks these rules on purpose
# (KNETSTAT_FAULT in Kbuild; "-" for none), and loads it in a guest with BOOT ("-" for nothing) added to its
# command line. COMMAND is the exact name of a guest test, or a shell command. EXPECTED is one of
#   passes        the test passes, and the kernel's log is clean
#   fails         the test runs to its end, and reports a failure
#   log:PATTERN   the kernel's log has a line that matches
fault() {
	local names=$1 kernel=$2 boot=$3 expected=$4 command=$5
	local what make=() run=(--timeout 400) ko log out ok='' status=0 program
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
		[[ $names == - ]] || command="KNETSTAT_FAULT=$names $command"
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
		verdict "$what" 0
		[[ $expected != log:* ]] || grep -m 1 -E -- "${expected#log:}" "$log" | sed 's/^/     /'
	else
		verdict "$what" 1 "$out and $log"
		grep -m 1 -E "$BAD_LOG" "$log" 2> /dev/null | sed 's/^/     /' || true
		tail -n 3 "$out" | sed 's/^/     /'
	fi
}

# Each bug that was fixed, with the race that hid it made wider, or the case forced. The test fails with the
# bug, and passes with the fix. Some cases need two CPUs, and some a kernel with few UDP slots.
FEW_SLOTS=uhash_entries=256 STOCK=debian-13-backports
all_faults() {
	faults=0
	fault oob debug - 'log:BUG: KASAN: .*out-of-bounds' "$REQUEST_ROW"
	fault sleep debug - 'log:BUG: (scheduling while atomic|sleeping function called from invalid context)' "$REQUEST_ROW"
	fault slow-look,short-rounds debug - passes faults::listener_between_tables
	fault slow-look,short-rounds "$STOCK" - passes faults::listener_between_tables
	fault slow-look,short-rounds,no-sock-lock "$STOCK" - fails faults::listener_between_tables
	fault lost-place debug $FEW_SLOTS passes faults::place_lost_every_round
	fault lost-place,same-visits debug $FEW_SLOTS fails faults::place_lost_every_round
	fault lost-place,same-visits debug $FEW_SLOTS passes faults::reader_can_be_killed
	fault lost-place,same-visits,deaf debug $FEW_SLOTS fails faults::reader_can_be_killed
	fault - debug $FEW_SLOTS passes faults::sleeping_reader_pins_nothing
}

check_host
mkdir -p "$LOGS"
# Two runs would read each other's results.
exec 6> "$LOGS.lock"
flock -n 6 || {
	note "waiting for other tests of this checkout ($LOGS.lock)"
	flock 6
}
# A mirror may fail once. With 130, the user has interrupted it.
status=0
"$VM/root.sh" > /dev/null || status=$?
[[ $status -ne 130 ]] || exit 130
[[ $status -eq 0 ]] || "$VM/root.sh" > /dev/null
begun=$SECONDS

# The kernels that the other stages need.
STOCK_KERNELS=("${EMULATED[@]}") UML_KERNELS=("${OTHERS[@]}")
if wanted faults; then
	STOCK_KERNELS+=("$STOCK")
	UML_KERNELS+=(debug)
fi
if wanted c-module; then STOCK_KERNELS+=("$C_MODULE_GUEST"); fi
mapfile -t STOCK_KERNELS < <(printf '%s\n' "${STOCK_KERNELS[@]}" | sort -u)
mapfile -t UML_KERNELS < <(printf '%s\n' "${UML_KERNELS[@]}" | sort -u)

# Kernels and programs are made in parallel, because parts of each build use one CPU only. A kernel that the
# archive does not have fails later, as a guest.
stock_kernels() {
	local kernel
	for kernel; do "$VM/kernel.sh" "$kernel" || true; done
}
[[ -z ${UML_KERNELS[*]} ]] || for kernel in "${UML_KERNELS[@]}"; do begin "$kernel-kernel" "$VM/kernel.sh" "$kernel"; done
[[ -z ${STOCK_KERNELS[*]} ]] || begin stock-kernels stock_kernels "${STOCK_KERNELS[@]}"
if [[ -n ${UML_KERNELS[*]}${STOCK_KERNELS[*]} ]]; then
	PROGRAMS[amd64]=$("$VM/program.sh" knetstat-guest-tests debug)
	COMMANDS[amd64]=$("$VM/program.sh" --dev knetstat debug)
	if [[ ${#EMULATED[@]} -gt 0 && -z $ONLY ]]; then MODULE_PROGRAM=$("$VM/program.sh" knetstat-module-tests debug); fi
fi
[[ -z ${STOCK_KERNELS[*]} ]] || finish stock-kernels
for kernel in "${EMULATED[@]}"; do
	arch=$(arch_of "$kernel")
	[[ -z ${PROGRAMS[$arch]:-} ]] || continue
	PROGRAMS[$arch]=$("$VM/program.sh" knetstat-guest-tests "$kernel")
	COMMANDS[$arch]=$("$VM/program.sh" --dev knetstat "$kernel")
done

# Emulated guests are slow, so they run beside all other stages, one after the other, and beside the build of
# the kernels that are compiled.
emulated() {
	local kernel status
	for kernel; do
		status=0
		if has_module_tests "$kernel"; then
			module_tests "$kernel" > "$LOGS/$kernel-module.log" 2>&1 || status=$?
			echo "$status" > "$LOGS/$kernel-module.status"
		fi
		status=0
		if has_command_tests "$kernel"; then
			command_tests "$kernel" > "$LOGS/$kernel-command.log" 2>&1 || status=$?
			echo "$status" > "$LOGS/$kernel-command.status"
		fi
		status=0
		guest "$kernel" "$ONLY" > "$LOGS/$kernel.log" 2>&1 || status=$?
		echo "$status" > "$LOGS/$kernel.status"
	done
}
if [[ ${#EMULATED[@]} -gt 0 ]]; then
	note "== ${EMULATED[*]} (output comes at the end)"
	for kernel in "${EMULATED[@]}"; do rm -f "$LOGS/$kernel"{,-module,-command}.{log,status}; done
	begin emulated emulated "${EMULATED[@]}"
fi
if wanted lint; then
	note "== lint"
	run lint "$VM/lint.sh"
fi
[[ -z ${UML_KERNELS[*]} ]] || for kernel in "${UML_KERNELS[@]}"; do
	finish "$kernel-kernel"
	# The host tests compare the list of options with the source of a kernel, if one was unpacked.
	source=$("$VM/kernel.sh" "$kernel")/source
	[[ ! -L $source ]] || export KNETSTAT_LINUX_SOURCE=$IN_CACHE/${source#"$CACHE/"}
done

# need_linux_source: sets KNETSTAT_LINUX_SOURCE, unless it names a source in the cache, to the one that was used
# last, as `make test-host` does, and counts a skipped test if there is none. The root sees no other source.
need_linux_source() {
	local source
	if [[ ${KNETSTAT_LINUX_SOURCE:-} != "$IN_CACHE"/* ]]; then
		source=$(find "$CACHE" -maxdepth 1 -type d -name 'linux-????????????????' -printf '%T@ %p\n' | sort -rn |
			sed -n '1s/^[^ ]* //p')
		KNETSTAT_LINUX_SOURCE=${source:+$(in_cache "$source")}
	fi
	export KNETSTAT_LINUX_SOURCE
	if ! "$VM/in-root.sh" test -f "$KNETSTAT_LINUX_SOURCE/net/core/sock.c"; then
		echo "test options_of_the_kernel ... ignored, there is no kernel source in the cache; to get one: make vm-setup KERNEL=uml"
		add 0 0 1 host
	fi
}
if wanted host; then need_linux_source; fi
# The root has jq, man and promtool, without which tests would pass that check nothing.
export KNETSTAT_NEED_TOOLS=1
for package in host build; do
	if wanted "$package"; then
		note "== $package"
		run "$package" "$VM/in-root.sh" cargo test --locked --manifest-path tests/Cargo.toml -p "knetstat-$package-tests"
	fi
	if [[ $package == host ]] && wanted host; then
		# With the flags of the command for the guests, so that its crates are compiled once.
		run command "$VM/in-root.sh" env RUSTFLAGS="$STATIC" \
			cargo test --locked --manifest-path tools/Cargo.toml --target "$CARGO_AMD64"
		fuzz format 300000
		fuzz command 100000
	fi
done
for kernel in "${OTHERS[@]}"; do
	note "== $kernel"
	run "$kernel" guest "$kernel" "$ONLY"
done
if [[ -z $ONLY && ${#OTHERS[@]} -gt 0 ]]; then
	note "== readme"
	named=KERNEL=${OTHERS[0]}
	shows vm '^ +0 +0 0\.0\.0\.0:22 .* LSTN .*,TCP_NODELAY=0,' vm "$named" CMD='cat /proc/net/tcpstat'
	shows demo '^ +[0-9]+ +0 ::1:[0-9]+ +::1:8080 +ESTB .*,SO_RCVBUF=4096,TCP_NODELAY=1,' demo "$named"
fi
if wanted faults; then
	note "== faults"
	all_faults
fi
if [[ ${#EMULATED[@]} -gt 0 ]]; then
	wait "${begun_pid[emulated]}" || true
	unset "begun_pid[emulated]"
	for kernel in "${EMULATED[@]}"; do
		for what in "$kernel-module" "$kernel-command" "$kernel"; do
			case $what in
			*-module) has_module_tests "$kernel" || continue ;;
			*-command) has_command_tests "$kernel" || continue ;;
			esac
			note "== $what"
			cat "$LOGS/$what.log" 2> /dev/null || true
			tally "$what" "$LOGS/$what.log" "$(cat "$LOGS/$what.status" 2> /dev/null || echo 1)"
		done
	done
fi
# Last, with nothing beside it, because it measures times.
if wanted c-module; then
	note "== c-module"
	if [[ -n ${KNETSTAT_C_MODULE:-} ]]; then
		run c-module c_module
	else
		echo "test c_module ... ignored, KNETSTAT_C_MODULE is not set"
		add 0 0 1 c-module
	fi
fi

note ""
note "$(elapsed $((SECONDS - begun))) min; logs are in $LOGS"
[[ ${#failures[@]} -eq 0 ]] || note "failed: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 && $passed -gt 0 ]]
