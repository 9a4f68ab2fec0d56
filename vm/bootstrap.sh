# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# Functions that make a root with a release of Debian or Ubuntu, and the packages for guests. To be sourced
# after vm/lib.sh.

# Packages for the guests: the usual tools, real programs for the demonstration, and programs that people
# read files with. The build root, from which most guests boot, needs those of GUEST_TOO itself.
GUEST_TOO="busybox-static kmod make xz-utils"
GUEST="iproute2 net-tools nftables python3 strace procps psmisc util-linux lsof less
	iputils-ping ncat socat curl nginx-light openssh-server dnsmasq-base
	zsh ksh93u+m mksh dash bash coreutils sed grep perl gawk mawk"

# apt_and_dpkg ROOT SUITE: configures apt and dpkg in the root.
apt_and_dpkg() {
	local root=$1 suite=$2 proxy
	# To save space and time: no documentation, no translations, no fsync. (INITRD=No in lib.sh prevents
	# an initramfs.)
	mkdir -p "$root/etc/dpkg/dpkg.cfg.d" "$root/etc/apt/apt.conf.d" "$root/usr/sbin"
	cat > "$root/etc/dpkg/dpkg.cfg.d/knetstat" <<-END
		force-unsafe-io
		path-exclude=/usr/share/doc/*
		path-exclude=/usr/share/man/*
		path-exclude=/usr/share/locale/*
	END
	cat > "$root/etc/apt/apt.conf.d/knetstat" <<-END
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		// A mirror that is behind will do for a root that only tests run in.
		Acquire::Check-Valid-Until "false";
		Binary::apt-get::APT::Keep-Downloaded-Packages "false";
	END
	# The host's proxy for packages, if it has one.
	proxy=$(apt-config dump --format '%f "%v";%n' Acquire::http::Proxy Acquire::https::Proxy || true)
	[[ -z $proxy ]] || printf '%s\n' "$proxy" >> "$root/etc/apt/apt.conf.d/knetstat"
	# Packages must not start their services.
	printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	[[ $suite == sid ]] || sed "s/^\(deb .*\) $suite /\1 $suite-backports /" "$root/etc/apt/sources.list" \
		> "$root/etc/apt/sources.list.d/backports.list"
}

# bootstrap ROOT SUITE
bootstrap() {
	local root=$1 suite=$2
	# debootstrap mounts file systems, which must not stay if it is interrupted.
	unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
		debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" \
		${KNETSTAT_MIRROR:+"$KNETSTAT_MIRROR"}
	mkdir -p "$root$IN_CACHE" "$root$IN_TOP" "$root$IN_RUN"
	apt_and_dpkg "$root" "$suite"
}

# security_updates ROOT SUITE FROM: lets apt install the security updates of the release, which are in a suite
# of their own, FROM, beside the archive. Backports of such a release may be gone.
security_updates() {
	local etc=$1/etc/apt suite=$2 from=$3
	rm -f "$etc/sources.list.d/backports.list"
	sed -nE "s,^(deb .*/debian)/? $suite ,\\1-security $from ,p" "$etc/sources.list" > "$etc/sources.list.d/security.list"
	[[ -s $etc/sources.list.d/security.list ]] || die "the mirror in $etc/sources.list does not end in /debian"
}

# bootstrap_recipe: the functions that make a root with Debian, for the keys of the cache.
bootstrap_recipe() { declare -f apt_and_dpkg bootstrap; }

# bootstrap_ubuntu ROOT SUITE TOOLS: like bootstrap, for Ubuntu. The host's debootstrap may be older than the release,
# and may lack the keys of its archive. Those of the build root's release are unpacked in TOOLS, in the cache.
bootstrap_ubuntu() {
	local root=$1 suite=$2 tools=$3
	# shellcheck disable=SC2016
	in_root bash -euc '
		cd /tmp
		apt-get update
		apt-get -o APT::Sandbox::User=root download debootstrap ubuntu-keyring
		for file in ./*.deb; do dpkg-deb -x "$file" "$1"; done
	' tools "$(in_cache "$tools")"
	# By this program, or else by a web site, debootstrap finds out whether the archive still has the release.
	printf '#!/bin/sh\necho %s\n' "$suite" > "$tools/ubuntu-distro-info"
	chmod +x "$tools/ubuntu-distro-info"
	unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
		env PATH="$tools:$PATH" DEBOOTSTRAP_DIR="$tools/usr/share/debootstrap" \
		"$tools/usr/sbin/debootstrap" --keyring="$tools/usr/share/keyrings/ubuntu-archive-keyring.gpg" \
		--variant=minbase --include=ca-certificates "$suite" "$root"
	remove_tree "$tools"
	mkdir -p "$root$IN_CACHE" "$root$IN_TOP" "$root$IN_RUN"
	apt_and_dpkg "$root" "$suite"
	rm -f "$root/etc/apt/sources.list.d/backports.list"
	# The newest kernels and compilers come as updates, and the compilers not from the component main.
	sed -nE "s/^(deb .*) $suite main.*/\1 $suite main universe\n\1 $suite-updates main universe/p" \
		"$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.new"
	mv "$root/etc/apt/sources.list.new" "$root/etc/apt/sources.list"
}

# A fresh system may hold dpkg's lock for its own updates.
install_debootstrap() {
	local install=(apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends debootstrap)
	"${install[@]}" || { apt-get update || true; "${install[@]}"; }
}

need_debootstrap() {
	command -v debootstrap > /dev/null ||
		step "installing debootstrap" debootstrap-install '' \
			"debootstrap could not be installed; is the network up? try: apt-get update && apt-get install debootstrap" \
			install_debootstrap
}

# step_bootstrap ROOT SUITE NAME: bootstrap with progress; NAME is in the name of the log.
step_bootstrap() {
	step "Debian $2, from debootstrap" "debootstrap-$3" '^I: (Retrieving|Extracting|Unpacking|Configuring)' \
		"debootstrap failed; is the network up? then run it again: make vm-setup" bootstrap "$1" "$2"
}

# step_bootstrap_ubuntu ROOT SUITE NAME TOOLS: bootstrap_ubuntu with progress.
step_bootstrap_ubuntu() {
	step "Ubuntu $2, from debootstrap" "debootstrap-$3" '^I: (Retrieving|Extracting|Unpacking|Configuring)' \
		"debootstrap failed; is the network up? then run it again: make vm-setup KERNEL=$3" bootstrap_ubuntu "$1" "$2" "$4"
}
