#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots a guest, loads the module, runs one command line as root, and powers the guest off.
#
# usage: vm/run.sh [OPTION]... KERNEL COMMAND
#        vm/run.sh [OPTION]... --shell KERNEL
#   --with FILE      copy FILE to $KNETSTAT_DIR in the guest (repeatable)
#   --dir DIR        make DIR the guest's $KNETSTAT_DIR, and keep the files in it
#   --module FILE    load this module rather than build knetstat.ko
#   --no-module      load no module
#   --sshd           start sshd first, on port 22 of all addresses, so that there are sockets to show
#   --root DIR/root  boot from this root in the cache, with the newest kernel that is installed in it,
#                    rather than the guest's; load no module
#   --systemd        with --root: let systemd be the first process, and run the command in a unit
#   --release NAME   with --root: boot this installed kernel
#   --log FILE       write the kernel's log to FILE
#   --timeout S      end the guest after S seconds (600; 0: never)
#   --append ARGS    append these to the kernel's command line
#   --mem MIB        the guest's memory (as in vm/guests/, or less if less is free)
#
# The command's output goes to stdout as it comes. The status is the command's; 124 after a timeout, 125 if
# the guest or the module did not start, 2 for a usage error.

. "$(dirname "$0")/lib.sh"

usage="usage: vm/run.sh [--with FILE]... [--dir DIR] [--module FILE | --no-module | --root DIR/root [--systemd] [--release NAME]] [--sshd] [--log FILE] [--timeout S] [--append ARGS] [--mem MIB] KERNEL COMMAND"
with=()
dir=
ko=
module=yes
own_root=
own_release=
systemd=
sshd=
log=
timeout=
append=
mem=
shell=
while [[ $# -gt 0 ]]; do
	case $1 in
	--shell) shell=yes; shift; continue ;;
	--no-module) module=; shift; continue ;;
	--sshd) sshd=yes; shift; continue ;;
	--systemd) systemd=yes; shift; continue ;;
	--with | --dir | --module | --root | --release | --log | --timeout | --append | --mem) [[ $# -ge 2 ]] || die_usage "$usage" ;;
	-*) die_usage "$usage" ;;
	*) break ;;
	esac
	case $1 in
	--with) with+=("$2") ;;
	--dir) dir=$2 ;;
	--module) ko=$2 ;;
	--root) own_root=$2 module='' ;;
	--release) own_release=$2 ;;
	--log) log=$2 ;;
	--timeout) timeout=$2 ;;
	--append) append=$2 ;;
	--mem) mem=$2 ;;
	esac
	shift 2
done
if [[ -n $shell ]]; then
	[[ $# -eq 1 ]] || die_usage "$usage"
	[[ -t 0 && -t 1 ]] || die_usage "a shell needs a terminal; to run one command: make vm CMD='...'"
else
	[[ $# -eq 2 ]] || die_usage "$usage"
fi
load_guest "$1"
command=${2:-}
timeout=${timeout:-$([[ -n $shell ]] && echo 0 || echo 600)}
[[ $timeout =~ ^[0-9]+$ ]] || die_usage "--timeout takes whole seconds, not '$timeout'"
[[ -z $mem || $mem =~ ^[1-9][0-9]*$ ]] || die_usage "--mem takes MiB, not '$mem'"
[[ -z $own_root || $own_root == "$CACHE"/?*/root && -d $own_root && $MACHINE == qemu ]] ||
	die_usage "--root takes a directory named root, below $CACHE, and a guest that QEMU runs; not '$own_root'"
[[ -z $own_release$systemd || -n $own_root ]] || die_usage "$usage"
for f in "${with[@]}" ${ko:+"$ko"}; do
	[[ -f $f ]] || die_usage "no such file: $f"
done
# A guest's memory is a file of a tmpfs, which uses only as much memory as the guest does.
room=$(room_for_guest)
[[ ${mem:-0} -le $room ]] ||
	die "a guest with $mem MiB needs a third more than that of free memory; it can have $room MiB at most"
mem=${mem:-$((room < MEM ? room : MEM))}

ROOT=$("$VM/root.sh")
if [[ -n $own_root ]]; then
	DIR=${own_root%/root}
else
	DIR=$("$VM/kernel.sh" "$KERNEL")
fi
check_host
if [[ -n $module && -z $ko ]]; then
	ko=$("$VM/module.sh" "$KERNEL")
fi
lock_use

# The directory that the guest shares with this script.
if [[ -n $dir ]]; then
	mkdir -p "$dir"
	RUN_DIR=$(cd "$dir" && pwd -P)
else
	RUN_DIR=$(mktemp -d "$CACHE/run/$KERNEL.XXXXXX")
	chmod 755 "$RUN_DIR"
fi
guest=$RUN_DIR/.guest
tty=
# shellcheck disable=SC2317
cleanup() {
	[[ -z $tty ]] || stty "$tty" 2> /dev/null || true
	rm -rf "$guest"
	[[ -n $dir ]] || remove_tree "$RUN_DIR"
}
trap cleanup EXIT
rm -rf "$guest"
mkdir "$guest"
: > "$guest/kernel.log"
: > "$guest/out"
[[ ${#with[@]} -eq 0 ]] || cp -p "${with[@]}" "$RUN_DIR/"
[[ -z $module ]] || cp "$ko" "$RUN_DIR/"
printf '%s\n' "$command" > "$guest/cmd"
rows=24 cols=80
if [[ -n $shell ]]; then
	tty=$(stty -g)
	read -r rows cols < <(stty size) || true
fi
cat > "$guest/env" <<END
KNETSTAT_KERNEL=$KERNEL
KNETSTAT_SCALE=$SCALE
KNETSTAT_OUT=$OUT
KNETSTAT_TTY=$TTY
KNETSTAT_KO=${module:+$IN_RUN/${ko##*/}}
KNETSTAT_DIR=$IN_RUN
KNETSTAT_SSHD=$sshd
KNETSTAT_SHELL=$shell
KNETSTAT_SYSTEMD=$systemd
TERM=${TERM:-dumb}
ROWS=$rows
COLS=$cols
END

# The seconds after which a guest in which vm/init has not begun is taken for hung.
BOOT_PATIENCE=300
[[ $SCALE != slowest ]] || BOOT_PATIENCE=900

# run_once SECONDS: runs the guest, and sets vm_status. If vm/init has not begun after SECONDS, unless they are
# 0, ends the guest and sets stuck.
run_once() {
	local patience=$1
	vm_status=0 stuck=
	begun=$SECONDS
	# In a process group of its own, so that all its processes can be ended: UML ignores Ctrl-C. Its output
	# is a pipe, because UML would change the settings of a terminal.
	set -m
	{
		if [[ -p /dev/stdout ]]; then machine_run; else machine_run | cat; fi
	} < /dev/null &
	pid=$!
	set +m
	trap 'interrupted=yes; kill -KILL -- "-$pid" 2> /dev/null || true' INT TERM HUP
	while [[ ! -e $guest/booted ]] && kill -0 "$pid" 2> /dev/null; do
		if [[ $patience -gt 0 && $((SECONDS - begun)) -ge $patience ]]; then
			stuck=yes
			kill -KILL -- "-$pid" 2> /dev/null || true
			break
		fi
		sleep 0.2
	done
	{ wait "$pid"; } 2> /dev/null || vm_status=$?
	if [[ -n $interrupted ]]; then
		wait "$pid" 2> /dev/null || true
		exit 130
	fi
}

interrupted=
logs=("$guest/kernel.log")
if [[ -n $shell ]]; then
	vm_status=0
	begun=$SECONDS
	machine_run || vm_status=$?
else
	# An emulated kernel may hang while it starts its processors. It gets a second chance.
	patience=$((timeout < 2 * BOOT_PATIENCE ? timeout / 2 : BOOT_PATIENCE))
	run_once "$patience"
	if [[ -n $stuck ]]; then
		note "knetstat: guest $KERNEL had not booted after $patience s; starting it again"
		cp "$guest/kernel.log" "$guest/kernel.log.stuck"
		logs=("$guest/kernel.log.stuck" "${logs[@]}")
		: > "$guest/kernel.log"
		run_once 0
	fi
fi

# Keep the log in the caller's file, or among the last twenty logs.
if [[ -z $log ]]; then
	mkdir -p "$CACHE/log/guest"
	log=$CACHE/log/guest/$(date +%Y%m%d-%H%M%S)-$KERNEL-$$.log
	find "$CACHE/log/guest" -name '*.log' -printf '%T@ %p\n' | sort -rn | tail -n +20 | cut -d' ' -f2- | xargs -r rm -f --
fi
cat "${logs[@]}" > "$log"

status=$(cat "$guest/status" 2> /dev/null || true)
if [[ -n $status ]]; then
	[[ $status -eq 0 || -n $shell ]] || note "knetstat: exit status $status in guest $KERNEL; its kernel's log: $log"
	exit "$status"
fi
if [[ $timeout -gt 0 && $((SECONDS - begun)) -ge $timeout && $vm_status =~ ^(124|137)$ ]]; then
	note "knetstat: guest $KERNEL was ended after $timeout s; its kernel's log: $log"
	exit 124
fi
{
	echo "knetstat: guest $KERNEL died ($vm_status); the end of its kernel's log, $log:"
	tail -n 25 "$log" | tr -d '\r' | sed 's/^/    | /'
	for f in "$guest/qemu.log" "$guest/virtiofsd.log"; do
		[[ ! -s $f ]] || tail -n 5 "$f" | sed 's/^/    | /'
	done
} >&2
exit 125
