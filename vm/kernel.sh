#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a guest's kernel and the build tree that modules for it are built against,
# in the cache, out of the kernel source package in the build root:
#   uml     User Mode Linux with Rust, two CPUs
#   debug   the same with the kernel's own checkers (debug.config)
#   debian  nothing to build but the Rust metadata of the unmodified Debian kernel
#
# usage: vm/kernel.sh uml|debug|debian

. "$(dirname "$0")/lib.sh"

JOBS=$(nproc)

# The kernel source, unpacked once for the UML kernels.
unpack_source() {
	local tarball=$1
	remove_tree "$CACHE/linux.new"
	mkdir "$CACHE/linux.new"
	in_root tar -x --strip-components=1 --no-same-owner -C "$IN_CACHE/linux.new" -f "$tarball"
	remove_tree "$CACHE/linux"
	mv "$CACHE/linux.new" "$CACHE/linux"
}

source_ready() { [[ $(cat "$CACHE/linux/.knetstat" 2> /dev/null) == "$source_key" ]]; }

need_source() {
	source_ready && return
	exec 6> "$CACHE/setup-linux.lock"
	flock 6
	source_ready && return
	step "unpacking the kernel source" source '' \
		"the kernel source could not be unpacked; mend it with: make vm-clean vm-setup" \
		unpack_source "$(source_tarball)"
	printf '%s\n' "$source_key" > "$CACHE/linux/.knetstat"
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
	UM_ARGS=(-C "$IN_CACHE/linux" O="$IN_CACHE/$KERNEL" ARCH=um RUSTC=/usr/bin/rustc)
	[[ $KERNEL != debug ]] || UM_ARGS+=(LLVM=1)
}

configure_um() {
	um_args
	in_root make "${UM_ARGS[@]}" rustavailable
	cat "${FRAGMENTS[@]}" > "$CACHE/$KERNEL/fragment"
	in_root make "${UM_ARGS[@]}" KCONFIG_ALLCONFIG="$IN_CACHE/$KERNEL/fragment" allnoconfig
	check_config "$CACHE/$KERNEL/.config" "${FRAGMENTS[@]}"
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
	cp -r "$TOP/scripts" "$CACHE/debian/"
	in_root "$IN_CACHE/debian/scripts/rust-metadata.sh" --release "$release" --source "$tarball" --output "$IN_CACHE/debian/tree"
}

[[ $# -eq 1 ]] || die_usage "usage: vm/kernel.sh uml|debug|debian"
KERNEL=$1
check_kernel_name "$KERNEL"
"$VM/root.sh"
check_host

# Written into the root, once, since it is a part of it.
# shellcheck disable=SC2016
[[ -s $ROOT/.versions ]] || in_root dpkg-query -W -f '${Package} ${Version}\n' linux-source \
	linux-headers-cloud-amd64 rustc bindgen gcc clang > "$ROOT/.versions"
source_key=$(hash_of < "$ROOT/.versions")
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
	declare -f "${RECIPE[@]}"
} | hash_of)
ready() { [[ $(cat "$CACHE/$KERNEL/.complete" 2> /dev/null) == "$key" ]]; }

ready && exit 0
lock_setup "$KERNEL"
ready && exit 0
lock_use
check_disk 4
note "making the $KERNEL kernel, $CACHE/$KERNEL"

# A kernel build that was begun with the same key goes on where it stopped; all
# else goes.
if [[ $KERNEL == debian || $(cat "$CACHE/$KERNEL/.key" 2> /dev/null) != "$key" ]]; then
	remove_tree "$CACHE/$KERNEL"
	mkdir "$CACHE/$KERNEL"
	printf '%s\n' "$key" > "$CACHE/$KERNEL/.key"
fi
rm -f "$CACHE/$KERNEL/.complete"

again="the whole log is in $CACHE/log; to start afresh: make vm-clean vm-setup"
case $KERNEL in
uml | debug)
	need_source
	step "configuring the $KERNEL kernel" "$KERNEL-config" '' "$again" configure_um
	step "building the $KERNEL kernel" "$KERNEL-build" '^  [A-Z]+ ' "$again" build_um
	;;
debian)
	step "making the Rust metadata of Debian's kernel" debian-prepare '' "$again" prepare_debian
	;;
esac
printf '%s\n' "$key" > "$CACHE/$KERNEL/.complete"
