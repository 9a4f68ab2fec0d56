# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# A kernel that is compiled here, out of the kernel source package in the build root, for the
# machines in vm/machines/ that run one. What FRAGMENTS ask for comes on top of allnoconfig.
# To be sourced by a machine, after it has set
#   LINUX_ARCH     the architecture, as the kernel names it
#   LINUX_TARGETS  what make is to make

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

# What a machine defines, as far as it is the same for all of this kind: see vm/machines/uml.sh.
machine_recipe() {
	hash_of < "$ROOT/.versions"
	grep -hvE '^[[:space:]]*(#|$)' "${FRAGMENTS[@]/#/$VM/}"
	cat "${PATCHES[@]}"
	printf '%s\n' "$LINUX_ARCH" "${LINUX_TARGETS[@]}" "${MAKE_ARGS[@]}"
	declare -f make_linux configure_linux build_linux
}

# A kernel build that was begun goes on where it stopped.
machine_make() {
	local again="the whole log is in $CACHE/log; to start afresh: make vm-clean vm-setup"
	need_source "$(linux_dir)"
	step "configuring the $KERNEL kernel" "${DIR##*/}-config" '' "$again" configure_linux
	step "building the $KERNEL kernel" "${DIR##*/}-build" '^  [A-Z]+ ' "$again" build_linux
}

machine_release() { cat "$DIR/include/config/kernel.release"; }

machine_root() { printf '%s\n' "$ROOT"; }
