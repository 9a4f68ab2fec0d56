# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# Compiles a kernel from the kernel source package in the build root, for the machines in vm/machines/ that
# need this. Its configuration is allnoconfig with the options in FRAGMENTS. To be sourced by a machine
# that has set
#   LINUX_ARCH     the architecture, as the kernel names it
#   LINUX_TARGETS  the targets of the kernel's make

# The patches for the source of these kernels; each says what it is for.
PATCHES=("$VM"/uml-*.patch)

# linux_dir: the directory of the source, which is unpacked once for all these kernels.
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

# check_config CONFIG FRAGMENT...: fails unless each option is set as the fragments say.
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
	in_root make -C "$(in_cache "$(linux_dir)")" O="$(in_cache "$DIR")" ARCH="$LINUX_ARCH" RUSTC=/usr/bin/rustc \
		"${MAKE_ARGS[@]}" "$@"
}

configure_linux() {
	cat "${FRAGMENTS[@]/#/$VM/}" > "$DIR/fragment"
	! grep -qx 'CONFIG_RUST=y' "$DIR/fragment" || make_linux rustavailable
	make_linux KCONFIG_ALLCONFIG="$(in_cache "$DIR/fragment")" allnoconfig
	check_config "$DIR/.config" "$DIR/fragment"
}

build_linux() {
	make_linux -j"$(nproc)" "${LINUX_TARGETS[@]}"
}

# The functions of a machine that are the same for all these kernels; see vm/machines/uml.sh.
machine_recipe() {
	hash_of < "$ROOT/.versions"
	grep -hvE '^[[:space:]]*(#|$)' "${FRAGMENTS[@]/#/$VM/}"
	cat "${PATCHES[@]}"
	printf '%s\n' "$LINUX_ARCH" "${LINUX_TARGETS[@]}" "${MAKE_ARGS[@]}"
	declare -f make_linux configure_linux build_linux
}

# A kernel build that was interrupted continues where it stopped.
machine_make() {
	local again="the log is in $CACHE/log; to start afresh: make vm-clean vm-setup"
	need_source "$(linux_dir)"
	step "configuring the $KERNEL kernel" "${DIR##*/}-config" '' "$again" configure_linux
	step "building the $KERNEL kernel" "${DIR##*/}-build" '^  [A-Z]+ ' "$again" build_linux
}

machine_release() { cat "$DIR/include/config/kernel.release"; }

machine_root() { printf '%s\n' "$ROOT"; }
