#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the benchmark (tests/bench) in a guest. Makes what is missing, shows progress on stderr, and prints
# the tables on stdout.
#
# usage: vm/bench.sh [--quick] [--kernel NAME] [--out FILE] [--only PART[,PART]...] [--against DIR]
#        vm/bench.sh --here [--quick] [--out FILE]
#   --kernel NAME  run in this guest, not in uml. If all code is emulated, times mean nothing; the counts
#                  of `consistency` do
#   --quick        use smaller sizes and fewer rounds
#   --out FILE     write the figures to FILE as JSON
#   --only PARTS   run some of: readers filtered read-sizes growth consistency load holds memory command
#   --against DIR  compare the module with that of another checkout, by turns
#   --here         measure only the command, on this machine's kernel, with sockets in a network namespace
#                  and rows in a file, because the module is loaded in guests only

. "$(dirname "$0")/lib.sh"

usage="usage: vm/bench.sh [--quick] [--kernel NAME] [--out FILE] [--only PART[,PART]...] [--against DIR] | --here [--quick] [--out FILE]"
# The memory for the largest sizes, in MiB, and the time for a run, in seconds.
mem=12288
timeout=3600
kernel=uml
out=
only=
against=
here=
arguments=
while [[ $# -gt 0 ]]; do
	case $1 in
	--quick)
		mem=3072
		timeout=900
		arguments+=" --quick"
		shift
		continue
		;;
	--here)
		here=yes
		shift
		continue
		;;
	--kernel | --out | --only | --against) [[ $# -ge 2 ]] || die_usage "$usage" ;;
	*) die_usage "$usage" ;;
	esac
	case $1 in
	--against)
		against=$2
		[[ -x $against/vm/module.sh ]] || die_usage "no checkout: '$against'"
		;;
	--kernel)
		check_kernel_name "$2"
		kernel=$2
		;;
	--out) out=$2 ;;
	--only)
		[[ $2 =~ ^[a-z,-]+$ ]] || die_usage "$usage"
		only=$2
		arguments+=" --only $2"
		;;
	esac
	shift 2
done

[[ -z $here || $kernel$only$against == uml ]] || die_usage "$usage"
check_host
if [[ -n $out ]]; then
	# Check this now, not in half an hour.
	[[ -d $(dirname -- "$out") && ! -d $out ]] || die_usage "the file '$out' cannot be written"
fi

cpu=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo | tr -cd 'A-Za-z0-9 @.()-')
load=$(cut -d' ' -f1 /proc/loadavg)
host="$(nproc) x ${cpu:-unknown CPU}, load $load before the run"
if awk -v load="$load" 'BEGIN { exit !(load > 0.5) }'; then
	note "  the machine is busy (load $load): times are longer, and ratios less certain"
fi

# begin_run: makes $dir, which the run shares with this script.
begin_run() {
	dir=$(mktemp -d "$CACHE/run/bench.XXXXXX")
	chmod 755 "$dir"
	trap 'remove_tree "$dir"' EXIT
}

# end_run STATUS: copies the figures, if there are any, and exits with the run's status.
end_run() {
	if [[ -n $out ]]; then
		if [[ -f $dir/bench.json ]]; then
			cp "$dir/bench.json" "$out"
		else
			note "knetstat: the run wrote no figures, so there is no $out"
		fi
	fi
	exit "$1"
}

if [[ -n $here ]]; then
	ROOT=$("$VM/root.sh")
	program=$("$VM/program.sh" knetstat-bench uml)
	command=$("$VM/program.sh" knetstat uml)
	lock_use
	begin_run
	cp "$command" "$dir/"
	# In namespaces of its own, so that it sees only its own sockets and processes.
	status=0
	# shellcheck disable=SC2086 # A list of options.
	in_root env KNETSTAT_DIR="$(in_cache "$dir")" \
		unshare --net sh -c 'ip link set lo up && exec "$@"' sh \
		"$(in_cache "$program")" --here --host "$host" --json "$(in_cache "$dir")/bench.json" $arguments || status=$?
	end_run "$status"
fi

# A little less than the available memory, because vm/run.sh checks again after the builds.
least=2048
room=$(($(room_for_guest) - 64))
[[ $mem -le $room ]] || mem=$room
[[ $mem -ge $least ]] ||
	die "the benchmark's guest needs $least MiB at least, and can have $mem (3/4 of free memory)"

# wants PART...: whether one of these parts is to run.
wants() {
	local part
	[[ -n $only ]] || return 0
	for part; do
		case ,$only, in
		*,"$part",*) return 0 ;;
		esac
	done
	return 1
}

"$VM/root.sh" > /dev/null
"$VM/kernel.sh" "$kernel" > /dev/null
ko=$("$VM/module.sh" "$kernel")
with=()
if [[ -n $against ]] || wants readers growth; then
	with+=(--with "$("$VM/module.sh" --test floor "$kernel")")
fi
measuring=
if [[ -z $against ]] && wants holds; then
	measuring=$("$VM/module.sh" --make KNETSTAT_MEASURE=1 "$kernel")
fi
# User Mode Linux has no BTF.
if [[ -z $against && $(load_guest "$kernel" && echo "$MACHINE") != uml ]] && wants consistency; then
	bpf=$("$VM/bpf.sh")
	with+=(--with "$bpf/bpftool" --with "$bpf/sockets.bpf.o")
fi

program=$("$VM/program.sh" knetstat-bench "$kernel")
if [[ -z $against ]] && wants command; then
	with+=(--with "$("$VM/program.sh" knetstat "$kernel")")
fi
[[ $kernel == uml ]] || timeout=$((timeout * 2))

begin_run
# Both builds are named knetstat.ko.
if [[ -n $measuring ]]; then
	mkdir "$dir/measure"
	cp "$measuring" "$dir/measure/"
fi
if [[ -n $against ]]; then
	mkdir "$dir/against"
	other=$("$against/vm/module.sh" "$kernel")
	cp "$other" "$dir/against/"
	arguments+=" --against \$KNETSTAT_DIR/against/knetstat.ko"
fi
status=0
# The guest's one console shows progress; tables and figures come as files.
"$VM/run.sh" --dir "$dir" --mem "$mem" --timeout "$timeout" --log "$CACHE/log/bench.kernel.log" \
	--module "$ko" --with "$program" "${with[@]}" "$kernel" \
	"\$KNETSTAT_DIR/${program##*/} --json \$KNETSTAT_DIR/bench.json --host '$host'$arguments > \$KNETSTAT_DIR/bench.txt" \
	>&2 || status=$?

[[ ! -f $dir/bench.txt ]] || cat "$dir/bench.txt"
end_run "$status"
