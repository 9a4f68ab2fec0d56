# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2030,SC2031,SC2153,SC2154
#
# QEMU without KVM: emulates an unmodified kernel of Debian or Ubuntu. Modules are built in a root of its release,
# with the packages of that release only. It boots from an initramfs, which inserts the kernel's own
# modules for virtio, and then from the build root over virtiofs. To be sourced by load_guest;
# vm/machines/uml.sh lists the functions.
#
# A guest of another architecture than the build root's has a user space of its own, DIR/guest. Its modules
# and test programs are cross-compiled in DIR/root, and QEMU runs from there.

# shellcheck source=vm/bootstrap.sh
. "$VM/bootstrap.sh"

# shellcheck disable=SC2034
OUT=/vm/.guest/out TTY=/dev/hvc0

# For each architecture: the emulator and its machine, the kernel's console, and, if it is not the build
# root's, the packages of the emulator. Debian calls a kernel vmlinux if it is not compressed.
VMLINUX=vmlinuz
case $ARCH in
amd64)
	QEMU=(qemu-system-x86_64 -machine "q35,memory-backend=mem") CONSOLE=ttyS0 QEMU_PACKAGES=
	# On a busy host, the first ticks of the timer come too late, and the kernel would panic.
	BOOT_ARGS="no_timer_check${BOOT_ARGS:+ $BOOT_ARGS}"
	;;
arm64)
	QEMU=(qemu-system-aarch64 -machine "virt,memory-backend=mem") CONSOLE=ttyAMA0
	QEMU_PACKAGES=qemu-system-arm
	;;
riscv64)
	QEMU=(qemu-system-riscv64 -machine "virt,memory-backend=mem") CONSOLE=ttyS0
	# The second is the firmware.
	QEMU_PACKAGES="qemu-system-riscv opensbi" VMLINUX=vmlinux
	;;
esac
# Arguments for make. If the architecture is not the build root's: apt's suffix for its packages, and the
# packages of DIR/root that compile for it and run it.
MAKE_ARCH=() FOREIGN='' FOREIGN_PACKAGES=''
if [[ -n $QEMU_PACKAGES ]]; then
	find_architecture "$ARCH"
	MAKE_ARCH=(ARCH="$arch_kbuild" CROSS_COMPILE="$arch_machine-linux-gnu-") FOREIGN=:$ARCH
	FOREIGN_PACKAGES="gcc-$arch_machine-linux-gnu $QEMU_PACKAGES virtiofsd cargo libstd-rust-dev:$ARCH libc6-dev-$ARCH-cross"
fi
FLAVOUR=${FLAVOUR:-${IMAGE#linux-image-}}
# Modules for a root over virtiofs with an overlay. Their dependencies are added; built-in ones are ignored.
INITRAMFS_MODULES="virtio_pci virtio_console virtiofs overlay"

# machine_root: the root in which modules are built, and which has the kernel's files.
machine_root() { if [[ -n $SUITE || -n ${own_root:-} ]]; then printf '%s\n' "$DIR/root"; else printf '%s\n' "$ROOT"; fi; }

# machine_release: the release of its kernel, as in uname -r.
machine_release() {
	local f
	f=$(find "$(machine_root)/boot" -maxdepth 1 -name "$VMLINUX-*-$FLAVOUR" -printf '%f\n' | sort -V | tail -n 1)
	[[ -n $f ]] || die "no kernel image in $(machine_root)/boot; to start afresh: make vm-clean vm-setup"
	printf '%s\n' "${f#"$VMLINUX-"}"
}

# release_packages: installs what the README asks an administrator to install.
release_packages() {
	local packages from=()
	[[ -z $FROM ]] || from=(-t "$FROM")
	if [[ -n $FOREIGN ]]; then
		in_root_at "$DIR/root" build dpkg --add-architecture "$ARCH"
	fi
	in_root_at "$DIR/root" build apt-get update
	packages=$(in_root_at "$DIR/root" build bash -c ". $IN_TOP/scripts/lib.sh; echo \${RUST_PACKAGES[*]}")
	# shellcheck disable=SC2086
	in_root_at "$DIR/root" build apt-get install -y make gcc kmod $FOREIGN_PACKAGES $packages
	if [[ -z $FOREIGN ]]; then
		in_root_at "$DIR/root" build apt-get install -y "${from[@]}" "$IMAGE" "${IMAGE/image/headers}"
	else
		in_root_at "$DIR/root" build apt-get install -y "${from[@]}" "$IMAGE$FOREIGN"
		foreign_headers "$(machine_release)"
	fi
	[[ $DISTRIBUTION != ubuntu ]] || more_modules "linux-modules-extra-$(machine_release)"
	in_root_at "$DIR/root" build apt-get clean
}

# more_modules PACKAGE: installs modules that Ubuntu's image for virtual machines lacks, some of which the tests
# need. Newer kernels have no such package.
more_modules() {
	if in_root_at "$DIR/root" build apt-cache show "$1" > /dev/null; then
		in_root_at "$DIR/root" build apt-get install -y "$1"
	fi
}

# foreign_headers RELEASE: installs the headers for another architecture. Their package is only unpacked,
# because it depends on a compiler for that architecture, which would replace the one here.
foreign_headers() {
	local release=$1 version=${1%"-$FLAVOUR"}
	in_root_at "$DIR/root" build apt-get install -y "linux-kbuild-$version" "linux-headers-$version-common"
	# shellcheck disable=SC2016
	in_root_at "$DIR/root" build bash -euc '
		cd /tmp
		apt-get -o APT::Sandbox::User=root download "$1"
		dpkg-deb -x ./linux-headers-*.deb /
	' headers "linux-headers-$release$FOREIGN"
}

# make_guest: makes DIR/guest, from which a guest of another architecture boots. Packages are only unpacked,
# because their scripts cannot run here. The files that these would make are copied from the build root,
# which has the same release and packages.
make_guest() {
	# shellcheck disable=SC2016,SC2086
	in_root bash -euc '
		guest=$1 root=$2 arch=$3
		shift 3
		mkdir -p /tmp/apt/lists/partial /tmp/apt/cache/archives/partial "$guest"
		: > /tmp/apt/status
		apt=(apt-get -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root
			-o Dir::Etc::SourceParts=- -o Dir::State=/tmp/apt -o Dir::State::status=/tmp/apt/status -o Dir::Cache=/tmp/apt/cache)
		"${apt[@]}" update
		"${apt[@]}" install -y --download-only "?essential" "$@"
		# As base-files has them: whatever is unpacked goes through these.
		for name in bin sbin lib; do
			mkdir -p "$guest/usr/$name"
			ln -s "usr/$name" "$guest/$name"
		done
		for file in /tmp/apt/cache/archives/*.deb; do
			dpkg-deb -x "$file" "$guest"
			echo "Unpacking ${file##*/}"
		done
		rm -rf "$guest"/usr/share/{doc,man,locale}
		cp -a "$root/etc/." "$guest/etc/"
		rm -f "$guest/etc/ld.so.cache"
		cd "$root"
		find usr -lname "/etc/alternatives/*" -print0 | xargs -0 cp -a --parents -t "$guest"
		python3 -m compileall -q "$guest/usr/lib/python3"* -s "$guest"
		mkdir -p "$guest/lib/modules" "$guest"/{cache,knetstat,vm}
	' guest "$(in_cache "$DIR")/guest" "$(in_cache "$ROOT")" "$ARCH" $GUEST_TOO $GUEST
}

# install_rustup: installs the oldest rustc that will do, with its sources, as docs/build.md says. The program
# is the build root's release of rustup, whose package is only unpacked, because it would replace rustc.
install_rustup() {
	# shellcheck disable=SC2016
	in_root bash -euc '
		home=$1 top=$2
		. "$top/scripts/lib.sh"
		cd /tmp
		apt-get -o APT::Sandbox::User=root download rustup
		dpkg-deb -x rustup_*.deb rustup
		RUSTUP_HOME=$home rustup/usr/bin/rustup toolchain install "$oldest_rustc" --no-self-update \
			--profile minimal --component rust-src
		cd "$home/toolchains"
		mv * ../toolchain
	' rustup "$(in_cache "$DIR")/root/opt/rustup" "$IN_TOP"
	ln -s /opt/rustup/toolchain/bin/rustc "$DIR/root/usr/bin/rustc"
}

make_metadata() {
	# From a copy, because bash reads a script while it runs, and this one may be edited meanwhile.
	cp -r "$TOP/scripts" "$DIR/"
	in_root "$(in_cache "$DIR")/scripts/rust-metadata.sh" "$(machine_release)" --output "$(in_cache "$DIR")/tree"
}

make_initramfs() {
	local root=/ busybox=/bin/busybox
	[[ -z $SUITE ]] || root=$(in_cache "$DIR")/root
	[[ -z $FOREIGN ]] || busybox=$(in_cache "$DIR")/guest/usr/bin/busybox
	# shellcheck disable=SC2016
	# shellcheck disable=SC2086 # A list of names.
	in_root bash -euc '
		dir=$1 root=$2 release=$3 init=$4 busybox=$5
		shift 5
		mkdir -p "$dir/initramfs/modules" "$dir/initramfs/bin"
		cd "$dir/initramfs"
		cp "$busybox" bin/busybox
		cp "$init" init
		n=100
		for module; do modprobe -d "$root" -S "$release" --show-depends "$module"; done |
			sed -n "s/^insmod \([^ ]*\).*/\1/p" | while read -r file; do
			name=${file##*/} name=${name%.xz} name=${name%.zst}
			[ ! -e modules/*-"$name" ] || continue
			case $file in
			*.xz) xz -dc "$file" ;;
			*.zst) zstd -qdc "$file" ;;
			*) cat "$file" ;;
			esac > "modules/$n-$name"
			n=$((n + 1))
		done
		find . | LC_ALL=C sort | cpio -o -H newc --quiet > ../initramfs.cpio
		ls modules
	' initramfs "$(in_cache "$DIR")" "$root" "$(machine_release)" "$IN_TOP/vm/init-initramfs" "$busybox" \
		$INITRAMFS_MODULES
}

machine_recipe() {
	hash_of < "$ROOT/.versions"
	printf '%s\n' "$SUITE" "$FROM" "$IMAGE" "$ARCH" "$INITRAMFS_MODULES"
	grep -hvE "^[[:space:]]*(#|$)" "$VM/init-initramfs"
	[[ -z $FOREIGN ]] || printf '%s\n' "$FOREIGN_PACKAGES" "$GUEST_TOO" "$GUEST" "$(declare -f foreign_headers make_guest)"
	[[ $FROM != *-security ]] || declare -f security_updates
	[[ $DISTRIBUTION != ubuntu ]] || { printf '%s\n' "$FLAVOUR"; declare -f bootstrap_ubuntu more_modules; grep -hvE '^[[:space:]]*(#|$)' "$TOP/scripts/distributions/ubuntu.sh"; }
	[[ -z $RUSTUP ]] || declare -f install_rustup
	[[ -z $METADATA ]] || grep -hvE '^[[:space:]]*(#|$)' "$TOP/scripts/rust-metadata.sh"
	declare -f release_packages make_initramfs make_metadata
	grep -hE "RUST_PACKAGES=" "$TOP/scripts/distributions/debian.sh"
	bootstrap_recipe
}

machine_make() {
	local again="is the network up? then run it again: make vm-setup KERNEL=$KERNEL"
	remove_tree "$DIR"
	mkdir "$DIR"
	if [[ -n $SUITE ]]; then
		need_debootstrap
		case $DISTRIBUTION in
		debian) step_bootstrap "$DIR/root" "$SUITE" "$KERNEL" ;;
		ubuntu) step_bootstrap_ubuntu "$DIR/root" "$SUITE" "$KERNEL" "$DIR/tools" ;;
		esac
		# An index that is not needed may be missing for this architecture, or out of step on the mirror.
		[[ $FROM == *-backports ]] || rm -f "$DIR/root/etc/apt/sources.list.d/backports.list"
		[[ $FROM != *-security ]] || security_updates "$DIR/root" "$SUITE" "$FROM"
		step "the $KERNEL kernel, its headers and a compiler, from apt" "${DIR##*/}-packages" '^(Unpacking|Setting up) ' \
			"$again" release_packages
	fi
	if [[ -n $RUSTUP ]]; then
		step "rustc for the $KERNEL kernel, from rustup" "${DIR##*/}-rustup" '' "$again" install_rustup
	fi
	if [[ -n $FOREIGN ]]; then
		step "a user space for $ARCH, from apt" "${DIR##*/}-guest" '^(Get|Unpacking)' "$again" make_guest
	fi
	if [[ -n $METADATA ]]; then
		step "making the Rust metadata of the $KERNEL kernel" "${DIR##*/}" '' \
			"the log is in $CACHE/log; to start afresh: make vm-clean vm-setup" make_metadata
	fi
	step "an initramfs for the $KERNEL kernel" "${DIR##*/}-initramfs" '' "$again" make_initramfs
}

machine_args() {
	local release
	release=$(machine_release)
	if [[ -n $METADATA ]]; then
		printf '%s\n' KDIR="$(in_cache "$DIR")/tree" RUST=kernel
	else
		printf '%s\n' KDIR="/lib/modules/$release/build"
	fi
	printf '%s\n' KVER="$release" "${MAKE_ARCH[@]}" "${MAKE_ARGS[@]}"
}

# make_own_initramfs: makes an initramfs for the root of vm/run.sh --root, whose parent is DIR.
make_own_initramfs() (
	machine_release() { printf '%s\n' "$release"; }
	SUITE=own
	rm -rf "$DIR/initramfs"
	make_initramfs > "$guest/initramfs.log" 2>&1 || { cat "$guest/initramfs.log" >&2; exit 1; }
)

# boot_files ROOT RELEASE: sets KERNEL_FILE and INITRAMFS (which may be empty), paths in the emulator's root.
boot_files() {
	KERNEL_FILE=$1/boot/$VMLINUX-$2
	INITRAMFS=$(in_cache "$DIR")/initramfs.cpio
}

machine_run() {
	local release root='' emulator=$ROOT share='' KERNEL_FILE INITRAMFS
	release=${own_release:-$(machine_release)}
	if [[ -n $own_root ]]; then
		make_own_initramfs
		root=$(in_cache "$own_root") share=$root
		# vm/init needs it, and a minimal system does not have it.
		cp "$ROOT/bin/busybox" "$guest/"
	elif [[ -n $FOREIGN ]]; then
		emulator=$DIR/root share=$(in_cache "$DIR")/guest
	fi
	if [[ -n $SUITE && -z $own_root ]]; then
		root=$(in_cache "$DIR")/root
		printf 'KNETSTAT_RELEASE_ROOT=%s\n' "$root" >> "$guest/env"
	fi
	boot_files "$root" "$release"
	# shellcheck disable=SC2016
	in_root_at "$emulator" guest bash -euc '
		timeout=$1 shell=$2 init=$3 append=$4 kernel=$5 initramfs=$6 mem=$7 console=$8 share=$9
		shift 9
		# A user space of its own, with what guests are shown of the host.
		if [ -n "$share" ]; then
			mount --bind "$share" /mnt
			for dir in /knetstat /cache /vm; do mount --bind "$dir" "/mnt$dir"; done
			share=/mnt
		fi
		/usr/libexec/virtiofsd --socket-path /tmp/fs --shared-dir "${share:-/}" --sandbox none --no-announce-submounts --cache always --log-level error \
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
			-kernel "$kernel" ${initramfs:+-initrd "$initramfs"} \
			-append "console=$console init=$init panic=-1 $append" \
			-chardev socket,id=fs,path=/tmp/fs -device vhost-user-fs-pci,chardev=fs,tag=root \
			-chardev file,id=log,path=/vm/.guest/kernel.log -serial chardev:log \
			"${out[@]}" -device virtio-serial-pci -device virtconsole,chardev=out <&3 &
		qemu=$!
		[ -n "$shell" ] || tail -c +1 -s 0.1 -f --pid=$qemu /vm/.guest/out
		wait $qemu || status=$?
		exit $status
		' guest "$timeout" "$shell" "$IN_TOP/vm/init" "${BOOT_ARGS:+$BOOT_ARGS }$append" "$KERNEL_FILE" "$INITRAMFS" \
		"$mem" "$CONSOLE" "$share" "${QEMU[@]}" 2>> "$guest/qemu.log"
}
