#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes bpftool and the programs in tests/bench/bpf, by which the benchmark reads sockets with BPF iterators,
# and prints their directory. They need a kernel with /sys/kernel/btf/vmlinux.
#
# usage: vm/bpf.sh

. "$(dirname "$0")/lib.sh"

[[ $# -eq 0 ]] || die_usage "usage: vm/bpf.sh"
ROOT=$("$VM/root.sh")
check_host

source=tests/bench/bpf/sockets.bpf.c
dir=$CACHE/bpf-$(cat "$VM/bpf.sh" "$TOP/$source" <(printf '%s\n' "$ROOT") | hash_of)

make_bpf() {
	remove_tree "$dir"
	mkdir "$dir"
	# The lists and the package go to /tmp, so that the root stays as its key says.
	# shellcheck disable=SC2016
	step "bpftool, and the BPF iterators of the benchmark" bpf '' \
		"is the network up? then run it again" \
		in_root bash -euc '
			dir=$1 source=$2
			mkdir -p /tmp/lists/partial /tmp/package
			cd /tmp/package
			apt=(apt-get -o APT::Sandbox::User=root -o Dir::State::lists=/tmp/lists)
			"${apt[@]}" update
			"${apt[@]}" download bpftool
			dpkg-deb -x ./bpftool_*.deb .
			cp -p usr/sbin/bpftool "$dir/"
			"$dir/bpftool" version
			clang -target bpf -O2 -g -Wall -Werror -I"/usr/include/$(gcc -print-multiarch)" \
				-c "$source" -o "$dir/sockets.bpf.o"
		' bpf "$(in_cache "$dir")" "$IN_TOP/$source"
}

prune_bpf() { prune bpf; }

make_once "$dir" "$dir" 1 make_bpf prune_bpf
