#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the module for kernel configurations that no guest has, and checks that `make` refuses those in which
# it would not work. Of each kernel, only what modules need is compiled, so none of them is booted.
#
# usage: vm/configs.sh [NAME]...
#   NAME   only this configuration; vm/configs.sh --list lists them

. "$(dirname "$0")/lib.sh"

usage="usage: vm/configs.sh [--list | NAME...]"

# config NAME OPTIONS [MAKE_ARGS [MESSAGE]]: calls "$each" with these. OPTIONS are added to tests.config;
# MESSAGE is what `make` says if it refuses the kernel.
configs() {
	config no-smp SMP=n
	config no-ipv6 'IPV6=n MPTCP_IPV6=n'
	config no-netns NET_NS=n
	config no-mptcp MPTCP=n
	config no-tls TLS=n
	config no-sysctl SYSCTL=n
	config hz-100 HZ_100=y
	config hz-250 HZ_250=y
	config hz-300 HZ_300=y
	config hz-1000 HZ_1000=y
	config clang '' LLVM=1
	config clang-thinlto LTO_CLANG_THIN=y LLVM=1
	config pages-16k ARM64_16K_PAGES=y 'ARCH=arm64 LLVM=1'
	config pages-64k ARM64_64K_PAGES=y 'ARCH=arm64 LLVM=1'
	config cfi CFI=y LLVM=1 'checks the types of the functions it calls (CONFIG_CFI)'
	config kmsan KMSAN=y LLVM=1 'has CONFIG_KMSAN'
	config 32-bits '64BIT=n TCP_AO=n' ARCH=i386 'is a 32-bit kernel'
}

config() { "$each" "$1" "$2" "${3:-}" "${4:-}"; }

print_name() { printf '%s\n' "$1"; }

each=print_name
if [[ ${1:-} == --list ]]; then
	configs
	exit 0
fi
for name; do
	# No pipe: grep would close it at the first match, and pipefail would report that as a failure.
	grep -qxF -- "$name" <(configs) || die_usage "$usage; the names are: $(configs | paste -sd' ')"
done
only=" $* "

LINUX_ARCH=x86_64 LINUX_TARGETS=(modules_prepare)
MAKE_ARGS=()
# shellcheck source=vm/linux.sh
. "$VM/linux.sh"
ROOT=$("$VM/root.sh")
check_host
lock_use
need_source "$(linux_dir)"

# fragment OPTIONS: prints the configuration: tests.config and, unless OPTIONS say otherwise, SMP.
fragment() {
	local wanted
	read -ra wanted <<< "$1"
	[[ " $1 " == *" SMP="* ]] || wanted+=(SMP=y NR_CPUS=2)
	# An option of tests.config that OPTIONS change, and those that depend on it, are left out.
	grep -vE "^CONFIG_($(IFS='|' && echo "${wanted[*]%=*}"))(_|=)" "$VM/tests.config"
	printf 'CONFIG_%s\n' "${wanted[@]}"
}

prepare() {
	note "preparing the kernel $name, $DIR"
	remove_tree "$DIR"
	mkdir "$DIR"
	fragment "$options" > "$DIR/fragment"
	step "configuring and preparing $name" "${DIR##*/}" '' "the log is in $CACHE/log" prepare_kernel
}

prepare_kernel() {
	make_linux KCONFIG_ALLCONFIG="$(in_cache "$DIR/fragment")" allnoconfig
	check_config "$DIR/.config" "$DIR/fragment"
	build_linux
}

prune_config() { prune "config-$name" 1; }

# build: builds the module in a copy of the checkout.
build() {
	# shellcheck disable=SC2016
	in_root bash -euc '
		rsync -rlpt --filter=":- .gitignore" --exclude=/.git --exclude=target "$1/" /tmp/knetstat/
		cd /tmp/knetstat
		make KDIR="$2" KVER="$(cat "$2/include/config/kernel.release")" KBUILD_MODPOST_WARN=1 "${@:3}"
		test -s knetstat.ko
	' build "$IN_TOP" "$(in_cache "$DIR")" "${MAKE_ARGS[@]}"
}

# look: whether the output of the build, in a file, is as it should be.
look() {
	local log=$1 status=$2 message=$3
	if [[ -n $message ]]; then
		[[ $status -ne 0 ]] && grep '^knetstat: ' "$log" | grep -F -- "$message" > /dev/null
		return
	fi
	# The list of the kernel's exports is missing, because the kernel was not compiled.
	[[ $status -eq 0 ]] && ! grep -i 'warning' "$log" |
		grep -v ' modpost: \|/Module.symvers is missing\|KBUILD_MODPOST_WARN=1'
}

passed=0 failed=0
test_config() {
	local name=$1 options=$2 message=$4 status=0 log
	[[ $only == '  ' || $only == *" $name "* ]] || return 0
	read -ra MAKE_ARGS <<< "$3"
	case $3 in
	*ARCH=arm64*) LINUX_ARCH=arm64 ;;
	*ARCH=i386*) LINUX_ARCH=i386 ;;
	*) LINUX_ARCH=x86_64 ;;
	esac
	LINUX_TARGETS=(modules_prepare)
	# A kernel that is refused needs no more than its configuration and its release.
	[[ -z $message ]] || LINUX_TARGETS=(syncconfig include/config/kernel.release)
	DIR=$CACHE/config-$name-$({
		hash_of < "$ROOT/.versions"
		fragment "$options"
		cat "${PATCHES[@]}"
		printf '%s\n' "$LINUX_ARCH" "${LINUX_TARGETS[@]}" "${MAKE_ARGS[@]}"
		declare -f make_linux build_linux prepare_kernel
	} | hash_of)
	make_once "$DIR" "$DIR" 2 prepare prune_config > /dev/null
	log=$CACHE/log/config-$name-module$OF_TOP.log
	build > "$log" 2>&1 || status=$?
	if look "$log" "$status" "$message"; then
		passed=$((passed + 1))
		echo "test config $name ... ok"
	else
		failed=$((failed + 1))
		echo "test config $name ... FAILED"
		tail -n 20 "$log" | sed 's/^/    | /'
	fi
}

each=test_config
configs
echo
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
