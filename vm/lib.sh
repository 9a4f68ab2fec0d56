# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that the scripts in vm/ share: the cache, progress, and commands inside the build root. To be
# sourced.
#
# Nothing is ever mounted in the host's own mount namespace. A command that needs mounts gets a private
# mount and PID namespace. Its mounts and processes vanish when it ends, however it ends.

set -euo pipefail

# With it, `cd` may go elsewhere, and prints where.
unset CDPATH
VM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOP=$(dirname "$VM")
# shellcheck source=scripts/architectures.sh
. "$TOP/scripts/architectures.sh"
CACHE=${KNETSTAT_CACHE:-/var/cache/knetstat}
# The build root; vm/root.sh makes it and prints its path.
ROOT=
# "yes": make nothing that is missing; see make_once.
FIND=
# The paths of the cache, the checkout and $RUN_DIR inside the root.
IN_CACHE=/cache
IN_TOP=/knetstat
IN_RUN=/vm

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

note() { printf '%s\n' "$*" >&2; }
die() { printf 'knetstat: %s\n' "$*" >&2; exit 1; }

# die_usage MESSAGE: like die, with the status of this project's usage errors.
die_usage() { printf 'knetstat: %s\n' "$*" >&2; exit 2; }

# A guest is one file, vm/guests/NAME.sh. Other files name it only as a default, or because they need this
# guest. The file sets these variables:
#   ABOUT      a description, in one line
#   MACHINE    its kind of machine: vm/machines/MACHINE.sh makes its kernel and boots it
#   SCALE      the amount of work that the tests do: fast, checked (an instrumented kernel),
#              emulated (all code is), or slowest (both)
#   MEM        its memory in MiB, unless vm/run.sh is given another size
#   TESTED     "yes" if `make test` runs it; "named" if not even KERNEL=all does
#   TIMEOUT    the seconds that all its tests may take (2400)
#   MINUTES    the minutes that .ci/run allows for it at first (20)
#   MAKE_ARGS  more arguments for make, for the kernel and for modules
#   BOOT_ARGS  more arguments for the kernel's command line
# For MACHINE=uml and MACHINE=qemu-compiled:
#   FRAGMENTS  the files in vm/ that make up its configuration
# For MACHINE=qemu:
#   DISTRIBUTION  debian (the default) or ubuntu
#   SUITE      the release of it that its modules are built on; if empty, they are built in the build root,
#              which has a kernel installed
#   FROM       the suite of its kernel, if that is not SUITE
#   IMAGE      the package that depends on the newest kernel image there
#   FLAVOUR    how that kernel's release ends, if not like IMAGE
#   ARCH       the architecture, as Debian names it: amd64 (the default), or another in vm/machines/qemu.sh
#   RUSTUP     "yes" if that release has no rustc that is new enough, so that rustup installs one
#   METADATA   "yes" if its modules are built with the kernel's own Rust, whose metadata are made
# A symbolic link is another name for a guest.
guest_names() {
	local file
	for file in "$VM"/guests/*.sh; do
		[[ ! -L $file ]] || continue
		file=${file##*/}
		printf '%s\n' "${file%.sh}"
	done | LC_ALL=C sort
}

# guests_tested PATTERN: the guests whose TESTED matches it.
guests_tested() {
	local name
	for name in $(guest_names); do
		# shellcheck disable=SC2053
		if (load_guest "$name" && [[ $TESTED == $1 ]]); then printf '%s\n' "$name"; fi
	done
}

# The guests of `make test`, and those of `make test KERNEL=all`.
tested_guests() { guests_tested yes; }
all_guests() { guests_tested '!(named)'; }

check_kernel_name() {
	[[ $1 =~ ^[a-z0-9][a-z0-9.-]*$ && -f $VM/guests/$1.sh ]] ||
		die_usage "no such kernel: '$1'; give KERNEL=NAME, NAME being one of: $(guest_names | paste -sd' ')"
}

# load_guest NAME: sets the variables above and KERNEL, and defines the functions of the machine; see
# vm/machines/uml.sh.
# shellcheck disable=SC2034
load_guest() {
	check_kernel_name "$1"
	KERNEL=$(basename "$(readlink -f "$VM/guests/$1.sh")" .sh)
	ABOUT='' MACHINE='' SCALE='' MEM='' TESTED='' TIMEOUT=2400 MINUTES=20 MAKE_ARGS=() BOOT_ARGS=''
	FRAGMENTS=() DISTRIBUTION=debian SUITE='' FROM='' IMAGE='' FLAVOUR='' ARCH=amd64 RUSTUP='' METADATA=''
	# shellcheck source=vm/guests/uml.sh
	. "$VM/guests/$KERNEL.sh"
	# shellcheck source=vm/machines/uml.sh
	. "$VM/machines/$MACHINE.sh"
}

# check_numbers NAME...: ends the script unless the values of these variables are whole numbers.
check_numbers() {
	local name
	for name; do
		[[ ${!name} =~ ^[0-9]+$ ]] || die_usage "$name must be a whole number, not '${!name}'"
	done
}

check_host() {
	[[ $(id -u) -eq 0 ]] || die "this needs root (mounts, chroot); run it as: sudo make ..."
	[[ $(uname -m) == x86_64 ]] || die "this needs an x86-64 machine, not $(uname -m)"
	command -v apt-get > /dev/null || die "this needs Debian 12 or 13 (there is no apt-get here)"
	case $CACHE in
	/*/*) ;;
	*) die "KNETSTAT_CACHE must be an absolute path below the top level, not '$CACHE'" ;;
	esac
	case $CACHE/ in
	"$TOP"/*) die "KNETSTAT_CACHE must lie outside the checkout, not in '$CACHE'" ;;
	esac
	unshare --mount --pid --fork true 2> /dev/null ||
		die "namespaces cannot be created here; a container must be started with --privileged"
	mkdir -p "$CACHE/log" "$CACHE/run" "$CACHE/cargo" "$CARGO_TARGET"
	touch "$CARGO_TARGET"
}

# check_disk GIB: ends the script unless the cache's file system has that much room.
check_disk() {
	local free
	free=$(($(df -Pk "$CACHE" | awk 'NR == 2 { print $4 }') / 1048576))
	[[ $free -ge $1 ]] ||
		die "$free GiB are free in $CACHE, and $1 are needed; make room, or: export KNETSTAT_CACHE=/a/bigger/disk"
}

# room_for_guest: the MiB of memory that a guest can have, so that some are left.
room_for_guest() { awk '/^MemAvailable:/ { print int($2 / 1024 * 3 / 4) }' /proc/meminfo; }

hash_of() { sha256sum | cut -c1-16; }

# The end of the names of a checkout's own files in the cache, such as logs from which results are read, because
# several checkouts may be tested at once.
OF_TOP=${TOP//\//-}
# The directory in which cargo builds. Each checkout has its own: inside the root, all have the same path,
# so cargo would take the programs of one for those of another.
CARGO_TARGET=$CACHE/target/$OF_TOP
# For programs that run in guests: rustc's name for amd64, and the flag for static programs.
# shellcheck disable=SC2034
CARGO_AMD64=x86_64-unknown-linux-gnu STATIC="-C target-feature=+crt-static"

# The name of a directory in the cache contains a hash of all that it was made from, so that several
# checkouts can share a cache. A script that makes one holds its lock. A script that makes or uses one
# holds use.lock, shared, so that nothing that is in use is removed.
lock_setup() {
	exec 8> "$1.lock"
	if ! flock -n 8; then
		note "waiting for another set-up to end ($1.lock)"
		flock 8
	fi
}

lock_use() {
	exec 9> "$CACHE/use.lock"
	flock -s 9
}

lock_alone() {
	exec 9> "$CACHE/use.lock"
	if ! flock -n -x 9; then
		note "waiting for running guests and builds to end ($CACHE/use.lock)"
		flock -x 9
	fi
}

# make_once DIR WHERE GIB MAKE PRUNE: prints WHERE, which is in DIR, a directory of the cache. If DIR is
# not complete, calls the function MAKE first, which may need GIB of disk space, and PRUNE after it. With
# FIND=yes, makes nothing: fails if DIR is not complete. Not to be called in a condition, like `step`.
make_once() {
	local dir=$1 where=$2 gib=$3 make=$4 prune=$5
	[[ -n $FIND ]] || check_host
	if [[ ! -e $dir/.complete ]]; then
		[[ -z $FIND ]] || exit 1
		lock_setup "$dir"
	fi
	# Another process may have made it before the lock was free.
	if [[ ! -e $dir/.complete ]]; then
		lock_use
		check_disk "$gib"
		"$make"
		touch "$dir/.complete"
		exec 9>&-
		"$prune"
	fi
	touch -c "$dir" 2> /dev/null || true
	printf '%s\n' "$where"
}

# prune NAME [COUNT]: if nothing in the cache is in use, removes all but the COUNT (2) directories NAME-HASH
# that were used last, modules for kernels that are gone, cargo's directories of all but four checkouts, and what
# runs that were killed have left, after a day.
prune() {
	local name=$1 count=${2:-2} dir
	exec 5> "$CACHE/use.lock"
	if flock -n -x 5; then
		find "$CACHE" -maxdepth 1 -regextype egrep -regex ".*/$name-[0-9a-f]{16}(\.new)?" -printf '%T@ %p\n' |
			sort -rn | tail -n "+$((count + 1))" | cut -d' ' -f2- | while read -r dir; do remove_tree "$dir"; done
		for dir in "$CACHE"/module/*/; do
			[[ ! -f ${dir%/}.kernel || -d $(cat "${dir%/}.kernel") ]] || {
				remove_tree "${dir%/}"
				rm -f "${dir%/}".{kernel,lock}
			}
		done
		find "$CACHE/target" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn | tail -n +5 | cut -d' ' -f2- |
			while read -r dir; do remove_tree "$dir"; done
		find "$CACHE/run" -mindepth 1 -maxdepth 1 -mtime +0 | while read -r dir; do remove_tree "$dir"; done
	fi
	exec 5>&-
}

# remove_tree DIR: removes a directory of the cache, never through a mount.
remove_tree() {
	local dir=$1
	[[ -e $dir || -L $dir ]] || return 0
	case $dir in
	"$CACHE"/?*) ;;
	*) die "refusing to remove $dir: not in $CACHE" ;;
	esac
	# No pipe: grep would close it at the first match, and pipefail would report that as a failure.
	if grep -qF -- "$dir/" <(awk '{ print $5 }' /proc/self/mountinfo); then
		die "refusing to remove $dir: something is mounted below it; unmount that first (see findmnt)"
	fi
	rm -rf --one-file-system -- "$dir"
}

elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# cpu_time PID: the CPU time, in seconds, of the children of a process that have ended.
cpu_time() { awk '{ sub(/.*\) /, ""); print int(($14 + $15) / 100) }' "/proc/$1/stat"; }

# step WHAT LOG COUNT HINT COMMAND...: runs the command with its output in a log, and shows progress: the
# time so far and, if COUNT (a regular expression) is not empty, the number of lines in the log that match
# it. If the command fails, shows the end of the log and HINT, and exits. Not to be called in a condition,
# where `set -e` would not hold inside COMMAND.
step() {
	local what=$1 log=$CACHE/log/$2.log count=$3 hint=$4 start=$SECONDS pid status=0 shown=0 n me=$BASHPID cpu
	cpu=$(cpu_time "$me")
	shift 4
	[[ -t 2 ]] || note "  $what ..."
	# In a process group of its own, so that all its processes can be ended.
	set -m
	"$@" < /dev/null > "$log" 2>&1 &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -KILL -- -$pid 2> /dev/null || true" EXIT
	trap 'note "  interrupted; to go on, give the same command again"; exit 130' INT TERM HUP
	while kill -0 "$pid" 2> /dev/null; do
		sleep 0.5
		n=
		if [[ -n $count ]]; then
			n=", $(grep -cE -- "$count" "$log" || true) done"
		fi
		if [[ -t 2 ]]; then
			printf '\r\033[K  %s ... %s%s' "$what" "$(elapsed $((SECONDS - start)))" "$n" >&2
		elif [[ $((SECONDS - start)) -ge $((shown + 15)) ]]; then
			shown=$((SECONDS - start))
			note "  $what ... $(elapsed $shown)$n"
		fi
	done
	wait "$pid" || status=$?
	trap - EXIT INT TERM HUP
	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	if [[ $status -ne 0 ]]; then
		note "  $what: FAILED after $(elapsed $((SECONDS - start))); the end of $log:"
		tail -n "${STEP_TAIL:-30}" "$log" | sed 's/^/    | /' >&2
		die "$hint"
	fi
	note "  $what: done in $(elapsed $((SECONDS - start))), CPU time $(elapsed $(($(cpu_time "$me") - cpu)))"
}

# root_env: sets ROOT_ENV, the environment inside the root. It has the caller's settings for networks, cargo
# and tests, and no other variables of the caller. vm/module.sh passes on those that change the module.
root_env() {
	local name
	ROOT_ENV=(
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" TMPDIR=/tmp
		RUSTC=/usr/bin/rustc
		DEBIAN_FRONTEND=noninteractive INITRD=No
	)
	while read -r name; do
		case $name in
		CARGO_HOME | CARGO_TARGET_DIR | CARGO_MAKEFLAGS | CARGO_MANIFEST* | CARGO_PKG* | CARGO_BIN*) ;;
		KNETSTAT_FAULT | KNETSTAT_MEASURE) ;;
		CARGO_* | *_proxy | *_PROXY | KNETSTAT_*) ROOT_ENV+=("$name=${!name}") ;;
		RUST_BACKTRACE | RUST_LOG | RUST_TEST_* | PROPTEST_* | V) ROOT_ENV+=("$name=${!name}") ;;
		esac
	done < <(compgen -e)
	ROOT_ENV+=(
		CARGO_HOME="$IN_CACHE/cargo" CARGO_TARGET_DIR="$(in_cache "$CARGO_TARGET")"
		KNETSTAT_CACHE="$IN_CACHE"
	)
}

# in_root_at ROOT MODE COMMAND...: runs the command inside the root, in mount and PID namespaces of its own.
# MODE is "build" (all is writable) or "guest" (only $RUN_DIR is).
in_root_at() {
	local root=$1 mode=$2 ca resolv
	shift 2
	ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
	[[ -f $ca ]] || ca=
	resolv=$(readlink -e /etc/resolv.conf || true)
	root_env
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child --propagation private \
		bash -euc '
		root=$1 mode=$2 ca=$3 resolv=$4 cache=$5 top=$6 in_cache=$7 in_top=$8 run=$9
		in_run=${10} dir=${11}
		shift 11
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mountpoint -q "$root/dev/shm" || mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
		mount -t tmpfs -o mode=1777 tmp "$root/tmp"
		if [ "$mode" = build ]; then
			mount -t sysfs -o ro sysfs "$root/sys" || mount --rbind /sys "$root/sys"
			if [ -n "$ca" ]; then
				[ -e "$root/etc/ssl/certs/ca-certificates.crt" ] ||
					install -D /dev/null "$root/etc/ssl/certs/ca-certificates.crt"
				mount --bind "$ca" "$root/etc/ssl/certs/ca-certificates.crt"
			fi
			if [ -n "$resolv" ]; then
				[ -e "$root/etc/resolv.conf" ] || : > "$root/etc/resolv.conf"
				mount --bind "$resolv" "$root/etc/resolv.conf"
			fi
			mount --bind "$cache" "$root$in_cache"
			mount --bind "$top" "$root$in_top"
		else
			mount --bind "$top" "$root$in_top"
			mount -o remount,bind,ro "$root$in_top"
			mount --bind "$cache" "$root$in_cache"
			mount -o remount,bind,ro "$root$in_cache"
			mount --bind "$run" "$root$in_run"
			mount -o remount,bind,ro "$root"
		fi
		# This shell stays. It is the first process of its PID namespace: no signal from inside ends it, and
		# all other processes end with it.
		status=0
		chroot "$root" env -i "$@" || status=$?
		exit "$status"
		' in-root "$root" "$mode" "$ca" "$resolv" "$CACHE" "$TOP" "$IN_CACHE" "$IN_TOP" \
		"${RUN_DIR:-}" "$IN_RUN" "$IN_TOP" "${ROOT_ENV[@]}" "$@"
}

in_root() { in_root_at "$ROOT" build "$@"; }

# cargo_settings: copies the caller's settings for cargo (registries, mirrors) to the cache, for the roots, and
# removes those that the caller no longer has.
cargo_settings() {
	local f from
	for f in config.toml config; do
		from=${CARGO_HOME:-${HOME:-/root}/.cargo}/$f
		if [[ -f $from ]]; then
			cmp -s "$from" "$CACHE/cargo/$f" || cp "$from" "$CACHE/cargo/$f"
		else
			rm -f "$CACHE/cargo/$f"
		fi
	done
}

# in_cache DIR: the path inside the root of a directory of the cache.
in_cache() { printf '%s\n' "$IN_CACHE/${1#"$CACHE/"}"; }

# source_tarball: the path inside the root of the kernel source package's tarball.
source_tarball() {
	local f
	f=$(find "$ROOT/usr/src" -maxdepth 1 -name 'linux-source-*.tar.xz' -printf '%f\n' | sort -V | tail -n 1)
	[[ -n $f ]] || die "no kernel source in $ROOT/usr/src; to start afresh: make vm-clean vm-setup"
	printf '/usr/src/%s\n' "$f"
}
