#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes a root of a guest's release without knetstat: Debian's minimal system, the guest's kernel and its
# headers. With "deb", "rpm" or "arch", makes the root in which the target of `make` with this name runs;
# with "containers", one with systemd, container runtimes and Prometheus, without a kernel. Prints its path.
# Tests that install something use a copy of it.
#
# usage: vm/stock-root.sh [--find] KERNEL|deb|rpm|arch|containers
#   --find   make nothing: fail if the root is not in the cache

. "$(dirname "$0")/lib.sh"
# shellcheck source=vm/bootstrap.sh
. "$VM/bootstrap.sh"

usage="usage: vm/stock-root.sh [--find] KERNEL|deb|rpm|arch|containers"
if [[ ${1:-} == --find ]]; then
	FIND=yes
	shift
fi
[[ $# -eq 1 ]] || die_usage "$usage"
# The release of the build root.
SUITE='' FROM='' name=$1
of_build_root=$(sed -n 's/^SUITE=//p' "$VM/root.sh")
case $name in
deb) SUITE=$of_build_root PACKAGES="make dpkg-dev debhelper dh-dkms lintian cargo libc6-dev" ;;
rpm) SUITE=$of_build_root PACKAGES="make rpm rpmlint cargo gcc libc6-dev xz-utils" ;;
arch) SUITE=$of_build_root PACKAGES="make makepkg pacman-package-manager libarchive-tools cargo gcc libc6-dev xz-utils" ;;
containers)
	SUITE=$of_build_root PACKAGES="systemd-sysv dbus-user-session libpam-systemd kmod iproute2 iptables nftables procps hostname python3
		podman crun uidmap passt docker.io docker-cli lxc systemd-container prometheus prometheus-node-exporter"
	;;
*)
	load_guest "$name"
	name=$KERNEL
	[[ $MACHINE == qemu && $DISTRIBUTION == debian && $ARCH == amd64 ]] || die_usage "only guests that run Debian for amd64 in QEMU have a root; $name does not"
	PACKAGES="$IMAGE ${IMAGE/-image-/-headers-}"
	# The kernel of a guest without SUITE is that of the build root, from backports.
	if [[ -z $SUITE ]]; then SUITE=$of_build_root FROM=$of_build_root-backports; fi
	;;
esac

packages() {
	local root=$1 from=()
	[[ -z $FROM ]] || from=(-t "$FROM")
	in_root_at "$root" build apt-get update
	# shellcheck disable=SC2086 # A list of names.
	in_root_at "$root" build apt-get install -y "${from[@]}" $PACKAGES
	in_root_at "$root" build apt-get clean
}

recipe() {
	bootstrap_recipe
	declare -f packages
	[[ $FROM != *-security ]] || declare -f security_updates
}
key=$(printf '%s\n' "$SUITE" "$FROM" "$PACKAGES" "$(recipe)" | hash_of)
DIR=$CACHE/stock-$name-$key

make_root() {
	note "making a minimal root for $name, $DIR"
	need_debootstrap
	remove_tree "$DIR"
	mkdir "$DIR"
	step_bootstrap "$DIR/root" "$SUITE" "stock-$name"
	[[ $FROM != *-security ]] || security_updates "$DIR/root" "$SUITE" "$FROM"
	step "its packages, from apt" "stock-$name-packages" '^(Unpacking|Setting up) ' \
		"apt failed; is the network up? then run it again" packages "$DIR/root"
}

# It is as large as the root of a guest: see vm/kernel.sh.
prune_roots() { prune "stock-$name" 1; }

make_once "$DIR" "$DIR/root" 4 make_root prune_roots
