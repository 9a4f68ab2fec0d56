# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# QEMU without KVM: an unmodified kernel of Debian's, all of whose code is emulated.  Its
# root is the build root, over virtiofs.  To be sourced by load_guest; see
# vm/machines/uml.sh for what is defined here.

# shellcheck disable=SC2034
OUT=/vm/.guest/out TTY=/dev/hvc0

# Per architecture: the emulator and its machine, the kernel's console, make's arguments.
case $ARCH in
amd64) QEMU=(qemu-system-x86_64 -machine "q35,memory-backend=mem") CONSOLE=ttyS0 MAKE_ARCH=() ;;
arm64)
	QEMU=(qemu-system-aarch64 -machine "virt,memory-backend=mem") CONSOLE=ttyAMA0
	MAKE_ARCH=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
	;;
esac

# packages_dir: what holds the kernel's files as its packages lay them out: the root
# itself, or a directory in $DIR.
packages_dir() { if [[ -n $SUITE ]]; then printf '%s\n' "$DIR/packages"; else printf '%s\n' "$ROOT"; fi; }

# The release, as uname -r there says.
machine_release() {
	local f
	f=$(find "$(packages_dir)/boot" -maxdepth 1 -name "vmlinuz-*-${IMAGE#linux-image-}" -printf '%f\n' | sort -V | tail -n 1)
	[[ -n $f ]] || die "no kernel image in $(packages_dir)/boot; to start afresh: make vm-clean vm-setup"
	printf '%s\n' "${f#vmlinuz-}"
}

# Fetches the newest image and headers of another suite, with lists of their own, and
# unpacks them; nothing is installed.
unpack_packages() {
	local in_dir
	in_dir=$(in_cache "$DIR")
	mkdir -p "$DIR"/apt/{lists/partial,archives/partial} "$DIR/packages"
	sed -n "1s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/deb \2 $SUITE main/p" "$ROOT/etc/apt/sources.list" > "$DIR/apt/sources.list"
	# shellcheck disable=SC2016
	in_root env -C "$in_dir/packages" bash -euc '
		apt() { apt-"$1" -o Dir::Etc::SourceList="$DIR/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
			-o Dir::State::Lists="$DIR/apt/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$DIR/apt" \
			-o APT::Architecture="$ARCH" -o APT::Sandbox::User=root "${@:2}"; }
		DIR=$1 ARCH=$2 image=$3
		apt get update
		mapfile -t names < <(apt cache depends --recurse --important "$image" "${image/image/headers}" |
			grep -oE "linux-(image|headers|kbuild|binary|base)-[0-9][^ ]*" | sort -u)
		apt get download "${names[@]}"
		for package in *.deb; do dpkg-deb -x "$package" .; done
		rm -- *.deb
		# As installing it would do, for modprobe.
		for dir in usr/lib/modules/* lib/modules/*; do
			[ ! -d "$dir" ] || depmod -b "./${dir%lib/modules/*}" "${dir##*/}"
		done
	' unpack "$in_dir" "$ARCH" "$IMAGE"
	remove_tree "$DIR/apt"
}

make_metadata() {
	# From a copy: bash reads a script as it goes, and this one may be edited meanwhile.
	cp -r "$TOP/scripts" "$DIR/"
	in_root "$(in_cache "$DIR")/scripts/rust-metadata.sh" --release "$(machine_release)" --source "$(source_tarball)" \
		--output "$(in_cache "$DIR")/tree"
}

machine_recipe() {
	hash_of < "$ROOT/.versions"
	if [[ -n $SUITE ]]; then
		printf '%s\n' "$SUITE" "$IMAGE" "$ARCH"
		declare -f unpack_packages
	else
		grep -hvE '^[[:space:]]*(#|$)' "$TOP/scripts/rust-metadata.sh"
		declare -f make_metadata
	fi
}

machine_make() {
	remove_tree "$DIR"
	mkdir "$DIR"
	if [[ -n $SUITE ]]; then
		step "fetching the $KERNEL kernel" "${DIR##*/}" '' "is the network up? then run it again: make vm-setup KERNEL=$KERNEL" unpack_packages
	else
		step "making the Rust metadata of the $KERNEL kernel" "${DIR##*/}" '' \
			"the whole log is in $CACHE/log; to start afresh: make vm-clean vm-setup" make_metadata
	fi
}

machine_args() {
	local release
	release=$(machine_release)
	if [[ -n $SUITE ]]; then
		printf '%s\n' KDIR="$(in_cache "$DIR")/packages/usr/src/linux-headers-$release"
	else
		printf '%s\n' KDIR="$(in_cache "$DIR")/tree"
	fi
	printf '%s\n' KVER="$release" "${MAKE_ARCH[@]}" "${MAKE_ARGS[@]}"
}

machine_run() {
	local release modules boot
	release=$(machine_release)
	boot=/boot modules=/lib/modules/$release
	if [[ -n $SUITE ]]; then
		boot=$(in_cache "$DIR")/packages/boot modules=$(in_cache "$DIR")/packages/usr/lib/modules/$release
		[[ -d $DIR/packages/usr/lib/modules ]] || modules=${modules/usr\/lib/lib}
		# The guest's init makes them appear in /lib/modules.
		printf 'KNETSTAT_MODULES=%s\n' "$modules" >> "$guest/env"
	fi
	# shellcheck disable=SC2016
	in_root_at "$ROOT" guest bash -euc '
		timeout=$1 shell=$2 init=$3 append=$4 kernel=$5 overlay=$6 mem=$7 console=$8
		shift 8
		# Unpacked here, since over there it takes a second.
		if [ -e "$overlay.xz" ]; then
			xz -dc "$overlay.xz" > /vm/.guest/overlay.ko
		elif [ -e "$overlay" ]; then
			cp "$overlay" /vm/.guest/overlay.ko
		fi
		/usr/libexec/virtiofsd --socket-path /tmp/fs --shared-dir / --sandbox none --no-announce-submounts --cache always --log-level error \
			2> /vm/.guest/virtiofsd.log &
		until [ -S /tmp/fs ]; do sleep 0.02; kill -0 $!; done
		out=(-chardev null,id=out)
		[ -z "$shell" ] || out=(-chardev stdio,id=out,signal=off)
		status=0
		exec 3<&0
		timeout --foreground -s KILL "$timeout" \
		"$@" -no-user-config -nodefaults -display none -no-reboot \
			-accel tcg,thread=multi -cpu max -smp 2 -m "${mem}M" \
			-object memory-backend-memfd,id=mem,size="${mem}M",share=on \
			-kernel "$kernel" \
			-append "console=$console root=root rootfstype=virtiofs rw init=$init panic=-1 $append" \
			-chardev socket,id=fs,path=/tmp/fs -device vhost-user-fs-pci,chardev=fs,tag=root \
			-chardev file,id=log,path=/vm/.guest/kernel.log -serial chardev:log \
			"${out[@]}" -device virtio-serial-pci -device virtconsole,chardev=out <&3 &
		qemu=$!
		[ -n "$shell" ] || tail -c +1 -s 0.1 -f --pid=$qemu /vm/.guest/out
		wait $qemu || status=$?
		exit $status
		' guest "$timeout" "$shell" "$IN_TOP/vm/init" "${BOOT_ARGS:+$BOOT_ARGS }$append" "$boot/vmlinuz-$release" \
		"$modules/kernel/fs/overlayfs/overlay.ko" "$mem" "$CONSOLE" "${QEMU[@]}" 2>> "$guest/qemu.log"
}
