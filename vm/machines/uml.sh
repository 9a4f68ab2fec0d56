# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# User Mode Linux: the kernel is compiled here, out of the kernel source package in the
# build root, and runs as a process of the host.  To be sourced by load_guest.
#
# A machine defines
#   machine_recipe    prints what a guest's kernel is made from: the key of the cache
#   machine_make      makes the kernel and its build tree in $DIR, with `step`
#   machine_release   prints the release of the kernel in $DIR
#   machine_root      prints the root in which its modules are built
#   machine_args      what make has to be told to build modules for it, KDIR=DIR first
#   machine_run       boots it: $kernel is its directory, the rest is as in vm/run.sh
# and where the guest's output goes:
#   OUT, TTY          the file or device for a command's output, and for a shell
#
# What FRAGMENTS ask for comes on top of allnoconfig.

# shellcheck disable=SC2034
OUT=/dev/tty0 TTY=/dev/tty0

# For the source of these kernels; what each is for is said in it.
PATCHES=("$VM"/uml-*.patch)

# The source, unpacked once for all kernels of this kind.
linux_dir() {
	printf '%s\n' "$CACHE/linux-$({ hash_of < "$ROOT/.versions"; cat "${PATCHES[@]}"; } | hash_of)"
}

unpack_source() {
	local linux=$1 tarball=$2 patch
	remove_tree "$linux.new"
	mkdir "$linux.new"
	in_root tar -x --strip-components=1 --no-same-owner -C "$(in_cache "$linux.new")" -f "$tarball"
	for patch in "${PATCHES[@]}"; do
		in_root patch -d "$(in_cache "$linux.new")" -p1 -i "$IN_TOP/vm/${patch##*/}"
	done
	mv "$linux.new" "$linux"
}

need_source() {
	local linux=$1
	exec 6> "$linux.lock"
	flock 6
	[[ -d $linux ]] || step "unpacking the kernel source" source '' \
		"the kernel source could not be unpacked; to start afresh: make vm-clean vm-setup" \
		unpack_source "$linux" "$(source_tarball)"
	touch -c "$linux"
	exec 6>&-
}

# Every option that was asked for must have come out as asked.
check_config() {
	local config=$1 line name missing=()
	shift
	while read -r line; do
		case $line in
		CONFIG_*=n)
			name=${line%=n}
			! grep -q "^$name=" "$config" || missing+=("$line")
			;;
		CONFIG_*=*) grep -qxF -- "$line" "$config" || missing+=("$line") ;;
		esac
	done < <(cat "$@")
	[[ ${#missing[@]} -eq 0 ]] || {
		echo "asked for, but not in the kernel's configuration: ${missing[*]}"
		return 1
	}
}

make_linux() {
	in_root make -C "$(in_cache "$(linux_dir)")" O="$(in_cache "$DIR")" ARCH=um RUSTC=/usr/bin/rustc "${MAKE_ARGS[@]}" "$@"
}

configure_um() {
	make_linux rustavailable
	cat "${FRAGMENTS[@]/#/$VM/}" > "$DIR/fragment"
	make_linux KCONFIG_ALLCONFIG="$(in_cache "$DIR/fragment")" allnoconfig
	check_config "$DIR/.config" "$DIR/fragment"
}

build_um() {
	make_linux -j"$(nproc)" linux modules
}

machine_recipe() {
	hash_of < "$ROOT/.versions"
	grep -hvE '^[[:space:]]*(#|$)' "${FRAGMENTS[@]/#/$VM/}"
	cat "${PATCHES[@]}"
	printf '%s\n' "${MAKE_ARGS[@]}"
	declare -f make_linux configure_um build_um
}

# A kernel build that was begun goes on where it stopped.
machine_make() {
	local again="the whole log is in $CACHE/log; to start afresh: make vm-clean vm-setup"
	need_source "$(linux_dir)"
	step "configuring the $KERNEL kernel" "${DIR##*/}-config" '' "$again" configure_um
	step "building the $KERNEL kernel" "${DIR##*/}-build" '^  [A-Z]+ ' "$again" build_um
}

machine_release() { cat "$DIR/include/config/kernel.release"; }

machine_root() { printf '%s\n' "$ROOT"; }

machine_args() { printf '%s\n' KDIR="$(in_cache "$DIR")" ARCH=um "${MAKE_ARGS[@]}"; }

machine_run() {
	local input=null
	[[ -z $shell ]] || input=fd:0
	# Other kernels map their memory in large pages, so let the host do that here, if it can.
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
