# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# How a root of a release of Debian is made, and what guests have of it. To be sourced after vm/lib.sh.

# Inside the guests: the usual tools, real programs for the demonstration, and what
# people read files with. The build root, from which most guests boot, has those of
# GUEST_TOO for its own use.
GUEST_TOO="busybox-static kmod make xz-utils"
GUEST="iproute2 net-tools nftables python3 strace procps psmisc util-linux lsof less
	iputils-ping ncat socat curl nginx-light openssh-server dnsmasq-base
	zsh ksh93u+m mksh dash bash coreutils sed grep perl gawk mawk"

# apt_and_dpkg ROOT SUITE: the settings of both there.
apt_and_dpkg() {
	local root=$1 suite=$2 proxy
	# Room and time: no documentation, no translations, no fsync. (That no initramfs
	# is made is due to INITRD=No in lib.sh.)
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
	# The host's own way to its packages, where it has one.
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
	# It mounts things, and must not leave them behind when it is interrupted.
	unshare --mount --pid --fork --kill-child --mount-proc --propagation private \
		debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" \
		${KNETSTAT_MIRROR:+"$KNETSTAT_MIRROR"}
	mkdir -p "$root$IN_CACHE" "$root$IN_TOP" "$root$IN_RUN"
	apt_and_dpkg "$root" "$suite"
}

# What both make of it, for the keys of the cache.
bootstrap_recipe() { declare -f apt_and_dpkg bootstrap; }

need_debootstrap() {
	command -v debootstrap > /dev/null ||
		step "installing debootstrap" debootstrap-install '' \
			"debootstrap could not be installed; is the network up? try: apt-get update && apt-get install debootstrap" \
			bash -c 'apt-get install -y --no-install-recommends debootstrap ||
				{ apt-get update; apt-get install -y --no-install-recommends debootstrap; }'
}

# step_bootstrap ROOT SUITE: with progress; the log is NAME's.
step_bootstrap() {
	step "Debian $2, from debootstrap" "debootstrap-$3" '^I: (Retrieving|Extracting|Unpacking|Configuring)' \
		"debootstrap failed; is the network up? then run it again: make vm-setup" bootstrap "$1" "$2"
}
