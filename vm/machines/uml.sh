# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# User Mode Linux: the kernel is compiled here, from the kernel source package in the build root, and runs
# as a process of the host. To be sourced by load_guest.
#
# A machine defines the functions
#   machine_recipe    prints all that the guest's kernel is made from, for the key of the cache
#   machine_make      makes the kernel and its build tree in $DIR, with `step`
#   machine_release   prints the release of the kernel in $DIR
#   machine_root      prints the root in which its modules are built
#   machine_args      prints the arguments of make for its modules, KDIR=DIR first
#   machine_run       boots it, with the variables of vm/run.sh
# and the variables
#   OUT, TTY          the file or device for a command's output, and for a shell

# shellcheck disable=SC2034
OUT=/dev/tty0 TTY=/dev/tty0
# shellcheck disable=SC2034
LINUX_ARCH=um LINUX_TARGETS=(linux modules)
# shellcheck source=vm/linux.sh
. "$VM/linux.sh"

machine_args() { printf '%s\n' KDIR="$(in_cache "$DIR")" ARCH=um "${MAKE_ARGS[@]}"; }

machine_run() {
	local input=null
	[[ -z $shell ]] || input=fd:0
	# Use large pages if the host supports them, because other kernels map their memory in large pages.
	# shellcheck disable=SC2016,SC2086
	{ in_root_at "$ROOT" guest TMPDIR=/tmp/mem HOME=/tmp bash -euc '
		mkdir /tmp/mem
		mount -t tmpfs -o "size=$1M,huge=always" mem /tmp/mem 2> /dev/null ||
			mount -t tmpfs -o "size=$1M" mem /tmp/mem
		shift
		exec "$@"
		' guest $((mem + 64)) \
		timeout --foreground -s KILL "$timeout" \
		"$(in_cache "$DIR")/linux" mem="${mem}M" seccomp=on $BOOT_ARGS uml_dir=/tmp/ \
		root=/dev/root rootfstype=hostfs hostfs=/ rw init="$IN_TOP/vm/init" \
		con=null con0="$input",fd:1 con1=null,fd:2 console=tty1 panic=-1 $append \
		2>&1 >&3 3>&- | cat >> "$guest/kernel.log"; } 3>&1
}
