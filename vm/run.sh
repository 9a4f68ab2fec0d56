#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots a guest, runs one command line in it as root with the module loaded, and
# powers it off.
#
# usage: vm/run.sh [OPTION]... uml|debug|debian COMMAND
#        vm/run.sh [OPTION]... --shell uml|debug|debian
#   --with FILE      copy FILE to $KNETSTAT_DIR in the guest (repeatable)
#   --dir DIR        make DIR the guest's $KNETSTAT_DIR, and keep what it writes there
#   --module FILE    load this module rather than build knetstat.ko
#   --no-module      load none
#   --log FILE       the kernel's log goes there
#   --timeout S      end the guest S seconds after its start (600; 0: never)
#   --append ARGS    more for the kernel's command line
#   --mem MIB        uml, debug: the guest's memory (4096, or what is free)
#
# The command's output goes to stdout as it comes. The status is the command's own;
# 124 after a timeout, 125 if the guest or the module did not get that far, 2 for a
# usage error.

. "$(dirname "$0")/lib.sh"

usage="usage: vm/run.sh [--with FILE]... [--dir DIR] [--module FILE | --no-module] [--log FILE] [--timeout S] [--append ARGS] [--mem MIB] uml|debug|debian COMMAND"
with=()
dir=
ko=
module=yes
log=
timeout=
append=
mem=
shell=
while [[ $# -gt 0 ]]; do
	case $1 in
	--shell) shell=yes; shift; continue ;;
	--no-module) module=; shift; continue ;;
	--with | --dir | --module | --log | --timeout | --append | --mem) [[ $# -ge 2 ]] || die_usage "$usage" ;;
	-*) die_usage "$usage" ;;
	*) break ;;
	esac
	case $1 in
	--with) with+=("$2") ;;
	--dir) dir=$2 ;;
	--module) ko=$2 ;;
	--log) log=$2 ;;
	--timeout) timeout=$2 ;;
	--append) append=$2 ;;
	--mem) mem=$2 ;;
	esac
	shift 2
done
if [[ -n $shell ]]; then
	[[ $# -eq 1 ]] || die_usage "$usage"
	[[ -t 0 && -t 1 ]] || die_usage "a shell needs a terminal; for one command: make vm CMD='...'"
else
	[[ $# -eq 2 ]] || die_usage "$usage"
fi
KERNEL=$1
command=${2:-}
check_kernel_name "$KERNEL"
timeout=${timeout:-$([[ -n $shell ]] && echo 0 || echo 600)}
[[ $timeout =~ ^[0-9]+$ ]] || die_usage "--timeout takes whole seconds, not '$timeout'"
[[ -z $mem || $mem =~ ^[1-9][0-9]*$ ]] || die_usage "--mem takes MiB, not '$mem'"
[[ -z $mem || $KERNEL != debian ]] || die_usage "--mem is for uml and debug"
for f in "${with[@]}" ${ko:+"$ko"}; do
	[[ -f $f ]] || die_usage "no such file: $f"
done
# UML keeps its memory in a file of a tmpfs, which takes what is used only.
if [[ $KERNEL != debian ]]; then
	room=$(room_for_guest)
	[[ ${mem:-0} -le $room ]] ||
		die "a guest with $mem MiB wants a third more than that of free memory, so at most $room MiB can be given; ask for less"
	mem=${mem:-$((room < 4096 ? room : 4096))}
fi

ROOT=$("$VM/root.sh")
kernel=$("$VM/kernel.sh" "$KERNEL")
check_host
if [[ -n $module && -z $ko ]]; then
	ko=$("$VM/module.sh" "$KERNEL")
fi
lock_use

# What the guest shares with us.
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
KNETSTAT_KO=${module:+$IN_RUN/${ko##*/}}
KNETSTAT_DIR=$IN_RUN
KNETSTAT_SHELL=$shell
TERM=${TERM:-dumb}
ROWS=$rows
COLS=$cols
END

# The guests' own commands, inside the root.
run_um() {
	local input=null args=()
	[[ -z $shell ]] || input=fd:0
	[[ $KERNEL != uml ]] || args+=(ncpus=2)
	# Other kernels map their memory in large pages, so let the host do that here, if it can.
	# shellcheck disable=SC2016
	{ in_root_at "$ROOT" guest TMPDIR=/tmp/mem HOME=/tmp bash -euc '
		mkdir /tmp/mem
		mount -t tmpfs -o "size=$1M,huge=always" mem /tmp/mem 2> /dev/null ||
			mount -t tmpfs -o "size=$1M" mem /tmp/mem
		shift
		exec "$@"
		' guest $((mem + 64)) \
		timeout --foreground -s KILL "$timeout" \
		"$IN_CACHE/${kernel##*/}/linux" mem="${mem}M" seccomp=on "${args[@]}" uml_dir=/tmp/ \
		root=/dev/root rootfstype=hostfs hostfs=/ rw init="$IN_TOP/vm/init" \
		con=null con0="$input",fd:1 con1=null,fd:2 console=tty1 panic=-1 ${append:+$append} \
		2>&1 >&3 3>&- | cat >> "$guest/kernel.log"; } 3>&1
}

run_debian() {
	# shellcheck disable=SC2016
	in_root_at "$ROOT" guest bash -euc '
		release=$1 timeout=$2 shell=$3 init=$4 append=$5
		# Unpacked here, since over there it takes a second.
		xz -dc "/lib/modules/$release/kernel/fs/overlayfs/overlay.ko.xz" > /vm/.guest/overlay.ko || true
		/usr/libexec/virtiofsd --socket-path /tmp/fs --shared-dir / --sandbox none --no-announce-submounts --cache always --log-level error \
			2> /vm/.guest/virtiofsd.log &
		until [ -S /tmp/fs ]; do sleep 0.02; kill -0 $!; done
		out=(-chardev null,id=out)
		[ -z "$shell" ] || out=(-chardev stdio,id=out,signal=off)
		status=0
		exec 3<&0
		timeout --foreground -s KILL "$timeout" \
		qemu-system-x86_64 -no-user-config -nodefaults -display none -no-reboot \
			-machine q35,memory-backend=mem -accel tcg,thread=multi -cpu max -smp 2 -m 2G \
			-object memory-backend-memfd,id=mem,size=2G,share=on \
			-kernel "/boot/vmlinuz-$release" \
			-append "console=ttyS0 root=root rootfstype=virtiofs rw init=$init panic=-1 $append" \
			-chardev socket,id=fs,path=/tmp/fs -device vhost-user-fs-pci,chardev=fs,tag=root \
			-chardev file,id=log,path=/vm/.guest/kernel.log -serial chardev:log \
			"${out[@]}" -device virtio-serial-pci -device virtconsole,chardev=out <&3 &
		qemu=$!
		[ -n "$shell" ] || tail -c +1 -s 0.1 -f --pid=$qemu /vm/.guest/out
		wait $qemu || status=$?
		exit $status
		' guest "$(debian_release)" "$timeout" "$shell" "$IN_TOP/vm/init" "$append" 2>> "$guest/qemu.log"
}

run_guest() {
	case $KERNEL in
	uml | debug) run_um ;;
	debian) run_debian ;;
	esac
}

vm_status=0
interrupted=
begun=$SECONDS
if [[ -n $shell ]]; then
	run_guest || vm_status=$?
else
	# In a process group of its own, so that all of it can be ended: UML does not
	# hear of Ctrl-C. It is given a pipe: a terminal it would take over.
	set -m
	{
		if [[ -p /dev/stdout ]]; then run_guest; else run_guest | cat; fi
	} < /dev/null &
	pid=$!
	set +m
	trap 'interrupted=yes; kill -KILL -- "-$pid" 2> /dev/null || true' INT TERM HUP
	wait "$pid" || vm_status=$?
	if [[ -n $interrupted ]]; then
		wait "$pid" 2> /dev/null || true
		exit 130
	fi
fi

# The log stays: where the caller wants it, or among the last twenty.
if [[ -z $log ]]; then
	mkdir -p "$CACHE/log/guest"
	log=$CACHE/log/guest/$(date +%Y%m%d-%H%M%S)-$KERNEL-$$.log
	find "$CACHE/log/guest" -name '*.log' -printf '%T@ %p\n' | sort -rn | tail -n +20 | cut -d' ' -f2- | xargs -r rm -f --
fi
cat "$guest/kernel.log" > "$log"

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
