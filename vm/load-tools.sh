#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the programs of vm/load.sh, which other projects wrote, and prints their directory DIR. DIR/root has
# stress-ng from the archive, and libraries that the build root does not have. DIR/selftests has network
# selftests of the kernel, from the source of the kernels that are compiled here.
#
# usage: vm/load-tools.sh

. "$(dirname "$0")/lib.sh"

PACKAGES="stress-ng libnuma1 ethtool"
# Programs that need neither libbpf nor files generated from the kernel's netlink specifications.
NET="bind_bhash bind_timewait bind_wildcard cmsg_sender fin_ack_lat getsockopt_iter ip_defrag
	ip_local_port_range ipv6_flowlabel ipv6_flowlabel_mgr msg_zerocopy psock_fanout psock_snd
	psock_tpacket reuseaddr_conflict reuseaddr_ports_exhausted reuseport_addr_any reuseport_bpf
	reuseport_bpf_cpu reuseport_dualstack rxtimestamp sk_bind_sendto_listen sk_connect_zero_addr
	sk_so_peek_off so_incoming_cpu so_netns_cookie so_rcv_listener socket stress_reuseport_listen
	tcp_fastopen_backup_key tcp_inq tcp_port_share tfo timestamping tls txtimestamp udpgso
	udpgso_bench_rx udpgso_bench_tx"

packages() {
	# shellcheck disable=SC2016,SC2086
	in_root bash -euc '
		dir=$1
		shift
		mkdir -p /tmp/archives/partial "$dir/root"
		apt-get update
		apt-get -o Dir::Cache::archives=/tmp/archives install -y --no-install-recommends --download-only "$@"
		for file in /tmp/archives/*.deb; do dpkg-deb -x "$file" "$dir/root"; done
	' packages "$(in_cache "$DIR")" $PACKAGES
}

# Built in a copy, because the source is shared and make would write to it.
selftests() {
	# shellcheck disable=SC2016
	in_root bash -euc '
		linux=$1 dir=$2 net=$3
		make -s -C "$linux" O=/tmp/headers ARCH=x86 headers
		mkdir -p /tmp/linux/tools/testing
		cp -r "$linux/tools/include" "$linux/tools/scripts" "$linux/tools/arch" /tmp/linux/tools/
		cp -r "$linux/tools/testing/selftests" /tmp/linux/tools/testing/
		cp -r /tmp/headers/usr /tmp/linux/
		selftests=/tmp/linux/tools/testing/selftests
		include="-isystem /tmp/linux/usr/include"
		make -C "$selftests/net" KHDR_INCLUDES="$include" TEST_PROGS= TEST_GEN_FILES= TEST_GEN_PROGS="$net" all
		make -C "$selftests/net/tcp_ao" KHDR_INCLUDES="$include" all
		make -C "$selftests/net/mptcp" KHDR_INCLUDES="$include" all
		mkdir -p "$dir/selftests"
		cp -r "$selftests/net" "$selftests/kselftest" "$selftests"/kselftest*.h "$dir/selftests/"
	' selftests "$(in_cache "$linux")" "$(in_cache "$DIR")" "${NET//[[:space:]]/ }"
}

load_guest uml
ROOT=$("$VM/root.sh")
check_host
linux=$(linux_dir)
DIR=$CACHE/load-$({ hash_of < "$ROOT/.versions"; printf '%s\n' "$PACKAGES" "$NET" "$(declare -f packages selftests)"; } | hash_of)

make_tools() {
	need_source "$linux"
	remove_tree "$DIR"
	mkdir "$DIR"
	step "stress-ng, from apt" "${DIR##*/}-packages" '^Get:' "is the network up? then run it again" packages
	step "the kernel's network selftests" "${DIR##*/}-selftests" '' "the selftests do not build" selftests
}

prune_tools() { prune load; }

make_once "$DIR" "$DIR" 2 make_tools prune_tools
