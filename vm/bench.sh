#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the benchmark (tests/bench) in a UML guest: makes what is missing, shows progress
# on stderr, and prints the tables on stdout.
#
# usage: vm/bench.sh [--quick] [--out FILE] [--only PART[,PART]...] [--against DIR]
#   --quick      smaller sizes and fewer rounds
#   --out FILE   write the figures there as JSON
#   --only PARTS some of: readers read-sizes growth consistency load holds memory command
#   --against DIR  compare the module with that of another checkout, by turns

. "$(dirname "$0")/lib.sh"

usage="usage: vm/bench.sh [--quick] [--out FILE] [--only PART[,PART]...] [--against DIR]"
# What the largest sizes want, in MiB, and how long a run may take, in seconds.
mem=12288
timeout=3600
out=
only=
against=
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
	--out | --only | --against) [[ $# -ge 2 ]] || die_usage "$usage" ;;
	*) die_usage "$usage" ;;
	esac
	case $1 in
	--against)
		against=$2
		[[ -x $against/vm/module.sh ]] || die_usage "no checkout: '$against'"
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

check_host
if [[ -n $out ]]; then
	# To know it now, not in half an hour.
	[[ -d $(dirname -- "$out") && ! -d $out ]] || die_usage "OUT: cannot write a file '$out'"
fi

# What the machine can give; a little less, as vm/run.sh asks again after the builds.
least=2048
room=$(($(room_for_guest) - 64))
[[ $mem -le $room ]] || mem=$room
[[ $mem -ge $least ]] ||
	die "the benchmark's guest wants $least MiB at least, and can have $mem (3/4 of free memory)"

"$VM/root.sh" > /dev/null
"$VM/kernel.sh" uml > /dev/null
ko=$("$VM/module.sh" uml)
floor=$("$VM/module.sh" --test floor uml)
measuring=
[[ -n $against ]] || case ,${only:-holds}, in
*,holds,*) measuring=$("$VM/module.sh" --make KNETSTAT_MEASURE=1 uml) ;;
esac

program=$("$VM/program.sh" knetstat-bench uml)
with=(--with "$program" --with "$floor")
[[ -n $against ]] || case ,${only:-command}, in
*,command,*) with+=(--with "$("$VM/program.sh" knetstat uml)") ;;
esac

cpu=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo | tr -cd 'A-Za-z0-9 @.()-')
load=$(cut -d' ' -f1 /proc/loadavg)
host="$(nproc) x ${cpu:-unknown CPU}, load $load before the run"
if awk -v load="$load" 'BEGIN { exit !(load > 0.5) }'; then
	note "  the machine is busy (load $load): times will be longer, and ratios less certain"
fi

dir=$(mktemp -d "$CACHE/run/bench.XXXXXX")
chmod 755 "$dir"
trap 'remove_tree "$dir"' EXIT
# Both builds are named knetstat.ko.
if [[ -n $measuring ]]; then
	mkdir "$dir/measure"
	cp "$measuring" "$dir/measure/"
fi
if [[ -n $against ]]; then
	mkdir "$dir/against"
	other=$("$against/vm/module.sh" uml)
	cp "$other" "$dir/against/"
	arguments+=" --against \$KNETSTAT_DIR/against/knetstat.ko"
fi
status=0
# The guest has one console, which shows progress here; tables and figures come as files.
"$VM/run.sh" --dir "$dir" --mem "$mem" --timeout "$timeout" --log "$CACHE/log/bench.kernel.log" \
	--module "$ko" "${with[@]}" uml \
	"\$KNETSTAT_DIR/${program##*/} --json \$KNETSTAT_DIR/bench.json --host '$host'$arguments > \$KNETSTAT_DIR/bench.txt" \
	>&2 || status=$?

[[ ! -f $dir/bench.txt ]] || cat "$dir/bench.txt"
if [[ -n $out ]]; then
	if [[ -f $dir/bench.json ]]; then
		cp "$dir/bench.json" "$out"
	else
		note "knetstat: there are no figures for $out"
	fi
fi
exit "$status"
