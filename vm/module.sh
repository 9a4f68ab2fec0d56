#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds knetstat.ko (or a test's module in tests/modules/) for a guest's kernel, from
# a copy of the checkout in the cache, and prints where it is.
#
# usage: vm/module.sh [--make VAR=VALUE]... [--test NAME] uml|debug|debian
#   --make VAR=VALUE  hand this to make; such a build has a copy of its own
#   --test NAME       build tests/modules/NAME instead

. "$(dirname "$0")/lib.sh"

usage="usage: vm/module.sh [--make VAR=VALUE]... [--test NAME] uml|debug|debian"
vars=()
test=
while [[ $# -gt 1 ]]; do
	case $1 in
	--make) vars+=("$2") ;;
	--test) test=$2 ;;
	*) die_usage "$usage" ;;
	esac
	shift 2
done
[[ $# -eq 1 ]] || die_usage "$usage"
KERNEL=$1
check_kernel_name "$KERNEL"
[[ -z $test || -f $TOP/tests/modules/$test/Kbuild ]] || die "there is no tests/modules/$test/Kbuild"

ROOT=$("$VM/root.sh")
kernel=$("$VM/kernel.sh" "$KERNEL")
lock_use

# One copy for each checkout, kernel and set of variables.
name=$KERNEL-$(printf '%s\n' "$TOP" "$kernel" "${vars[@]}" | hash_of)
dir=$CACHE/module/$name
stamp=$dir.made${test:+-$test}
ko=$dir/knetstat.ko
[[ -z $test ]] || ko=$dir/tests/modules/$test/$test.ko
mkdir -p "$dir"
exec 7> "$dir.lock"
flock 7

# What goes into it: all files but the tests' own programs, and the kernel.
key=$({
	cat "$VM/module.sh"
	cd "$TOP"
	find . \( -path ./.git -o -path ./vm -o -name target -o -path './tests/*' ! -path './tests/modules*' \) -prune -o \
		\( -type f -o -type l \) -printf '%p %s %T@ %m\n' | sort
} | hash_of)
if [[ $(cat "$stamp" 2> /dev/null) == "$key" && -f $ko ]]; then
	printf '%s\n' "$ko"
	exit 0
fi
rm -f "$stamp"

printf '%s\n' "$kernel" > "$dir.kernel"

build() {
	local args=() in_dir=$IN_CACHE/module/$name
	# Times are kept, so that make rebuilds what changed; what make made stays.
	in_root rsync -rlpt --delete --filter=':- .gitignore' --exclude=/.git --exclude=target \
		--exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' --exclude='.*.d' \
		--exclude='*.rmeta' --exclude=modules.order --exclude=Module.symvers --exclude='.tmp_*' --exclude='.module-common.o' \
		--exclude=/bindings/generated.rs --exclude=/bindings/layout.s --exclude=/bindings/layout.rs \
		"$IN_TOP/" "$in_dir/"
	mapfile -t args < <(kernel_args "$KERNEL" "$kernel")
	if [[ -n $test ]]; then
		in_root make --no-print-directory -C "${args[0]#KDIR=}" M="$in_dir/tests/modules/$test" \
			RUSTC=/usr/bin/rustc "${args[@]:1}" "${vars[@]}" modules
	else
		in_root make --no-print-directory -C "$in_dir" "${args[@]}" "${vars[@]}"
	fi
	[[ -f $ko ]] || { echo "make made no $ko"; return 1; }
}

STEP_TAIL=80 step "building ${ko##*/} for $KERNEL${vars[*]:+ with ${vars[*]}}" "module-$name${test:+-$test}" '' "the module does not build" build
printf '%s\n' "$key" > "$stamp"
printf '%s\n' "$ko"
