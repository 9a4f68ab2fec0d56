#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a guest's kernel and the build tree that modules for it are built against,
# in the cache, out of the kernel source package in the build root:
#   uml     User Mode Linux with Rust, two CPUs
#   debug   the same with the kernel's own checkers (debug.config)
#   debian  nothing to build but the Rust metadata of the unmodified Debian kernel
# Prints where it is.
#
# usage: vm/kernel.sh uml|debug|debian

. "$(dirname "$0")/lib.sh"

JOBS=$(nproc)
# For the source of the UML kernels; what it is for is said in it.
PATCH=$VM/uml-large-sections.patch

# The kernel source, unpacked once for the UML kernels.
unpack_source() {
	local tarball=$1
	remove_tree "$LINUX.new"
	mkdir "$LINUX.new"
	in_root tar -x --strip-components=1 --no-same-owner -C "$IN_CACHE/${LINUX##*/}.new" -f "$tarball"
	in_root patch -d "$IN_CACHE/${LINUX##*/}.new" -p1 -i "$IN_TOP/vm/${PATCH##*/}"
	mv "$LINUX.new" "$LINUX"
}

need_source() {
	exec 6> "$LINUX.lock"
	flock 6
	[[ -d $LINUX ]] || step "unpacking the kernel source" source '' \
		"the kernel source could not be unpacked; to start afresh: make vm-clean vm-setup" \
		unpack_source "$(source_tarball)"
	touch -c "$LINUX"
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

um_args() {
	UM_ARGS=(-C "$IN_CACHE/${LINUX##*/}" O="$IN_CACHE/${DIR##*/}" ARCH=um RUSTC=/usr/bin/rustc)
	[[ $KERNEL != debug ]] || UM_ARGS+=(LLVM=1)
}

configure_um() {
	um_args
	in_root make "${UM_ARGS[@]}" rustavailable
	cat "${FRAGMENTS[@]}" > "$DIR/fragment"
	in_root make "${UM_ARGS[@]}" KCONFIG_ALLCONFIG="$IN_CACHE/${DIR##*/}/fragment" allnoconfig
	check_config "$DIR/.config" "${FRAGMENTS[@]}"
}

build_um() {
	um_args
	in_root make "${UM_ARGS[@]}" -j"$JOBS" linux modules
}

prepare_debian() {
	local release tarball
	release=$(debian_release)
	tarball=$(source_tarball)
	# From a copy: bash reads a script as it goes, and this one may be edited meanwhile.
	cp -r "$TOP/scripts" "$DIR/"
	in_root "$IN_CACHE/${DIR##*/}/scripts/rust-metadata.sh" --release "$release" --source "$tarball" \
		--output "$IN_CACHE/${DIR##*/}/tree"
}

[[ $# -eq 1 ]] || die_usage "usage: vm/kernel.sh uml|debug|debian"
KERNEL=$1
check_kernel_name "$KERNEL"
ROOT=$("$VM/root.sh")
check_host

source_key=$(hash_of < "$ROOT/.versions")
LINUX=$CACHE/linux-$({ echo "$source_key"; cat "$PATCH"; } | hash_of)
RECIPE=(um_args configure_um build_um)
case $KERNEL in
uml) FRAGMENTS=("$VM/uml.config" "$VM/smp.config") ;;
debug) FRAGMENTS=("$VM/uml.config" "$VM/debug.config") ;;
debian)
	FRAGMENTS=("$TOP/scripts/rust-metadata.sh")
	RECIPE=(prepare_debian)
	;;
esac
key=$({
	echo "$source_key"
	grep -hvE '^[[:space:]]*(#|$)' "${FRAGMENTS[@]}"
	[[ $KERNEL == debian ]] || cat "$PATCH"
	declare -f "${RECIPE[@]}"
} | hash_of)
DIR=$CACHE/$KERNEL-$key
ready() {
	[[ -e $DIR/.complete ]] || return
	touch -c "$DIR"
	printf '%s\n' "$DIR"
	exit 0
}

ready || true
lock_setup "$DIR"
ready || true
lock_use
check_disk 4
note "making the $KERNEL kernel, $DIR"

# A kernel build that was begun goes on where it stopped.
[[ $KERNEL != debian ]] || remove_tree "$DIR"
mkdir -p "$DIR"

again="the whole log is in $CACHE/log; to start afresh: make vm-clean vm-setup"
case $KERNEL in
uml | debug)
	need_source
	step "configuring the $KERNEL kernel" "${DIR##*/}-config" '' "$again" configure_um
	step "building the $KERNEL kernel" "${DIR##*/}-build" '^  [A-Z]+ ' "$again" build_um
	;;
debian)
	step "making the Rust metadata of Debian's kernel" "${DIR##*/}" '' "$again" prepare_debian
	;;
esac
touch "$DIR/.complete"
exec 9>&-
prune "$KERNEL"
prune linux
printf '%s\n' "$DIR"
