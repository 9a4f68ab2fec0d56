#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds knetstat.ko, or a module in tests/modules/, for a guest's kernel, from a copy of the checkout in the
# cache, and prints its path.
#
# usage: vm/module.sh [--make VAR=VALUE]... [--test NAME | --clippy] KERNEL
#   --make VAR=VALUE  pass this to make
#   --test NAME       build tests/modules/NAME instead
#   --clippy          build with `make clippy`, which fails if there is a finding

. "$(dirname "$0")/lib.sh"

usage="usage: vm/module.sh [--make VAR=VALUE]... [--test NAME | --clippy] KERNEL"
vars=()
test=
clippy=
while [[ $# -gt 1 ]]; do
	case $1 in
	--clippy) clippy=yes; shift; continue ;;
	--make) vars+=("$2") ;;
	--test) test=$2 ;;
	*) die_usage "$usage" ;;
	esac
	shift 2
done
[[ $# -eq 1 ]] || die_usage "$usage"
# Kbuild reads these from the environment, too. As arguments, they are part of the key.
for name in KNETSTAT_FAULT KNETSTAT_MEASURE; do
	[[ -z ${!name:-} || " ${vars[*]}" == *" $name="* ]] || vars+=("$name=${!name}")
done
load_guest "$1"
[[ -z $test || -z $clippy ]] || die_usage "$usage"
[[ -z $test || -f $TOP/tests/modules/$test/Kbuild ]] || die "there is no tests/modules/$test/Kbuild"

ROOT=$("$VM/root.sh")
DIR=$("$VM/kernel.sh" "$KERNEL")
lock_use

# There is one copy for each checkout and kernel. All sets of variables are built in it, one after the other,
# because they share most objects; .made keeps the module of each. clippy shares none, because it is another
# compiler, so it has a copy of its own.
name=${clippy:+clippy-}$KERNEL-$(printf '%s\n' "$TOP" "$DIR" | hash_of)
dir=$CACHE/module/$name
product=${test:-knetstat}.ko
made=$dir/.made/$(printf '%s\n' "${vars[@]}" | hash_of)
stamp=$made/.$product.key
ko=$made/$product
mkdir -p "$made"
exec 7> "$dir.lock"
flock 7

# The key covers all files but the programs of the tests.
key=$({
	cat "$VM/module.sh"
	machine_args
	cd "$TOP"
	find . \( -path ./.git -o -path ./vm -o -name target -o -path './tests/*' ! -path './tests/modules*' \) -prune -o \
		\( -type f -o -type l \) -printf '%p %s %T@ %m\n' | sort
} | hash_of)
if [[ $(cat "$stamp" 2> /dev/null) == "$key" && -f $ko ]]; then
	printf '%s\n' "$ko"
	exit 0
fi
rm -f "$stamp"

printf '%s\n' "$DIR" > "$dir.kernel"

build() {
	local args=() in_dir=$IN_CACHE/module/$name
	# Keep the times, so that make rebuilds only what changed, and keep the objects.
	in_root rsync -rlpt --delete --filter=':- .gitignore' --exclude=/.git --exclude=/.made --exclude=target \
		--exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' --exclude='.*.d' \
		--exclude='*.rmeta' --exclude=modules.order --exclude=Module.symvers --exclude='.tmp_*' --exclude='.module-common.o' \
		--exclude=/bindings/layout.s --exclude=/bindings/layout.rs --exclude=/rust/target.json --exclude=/rust/rustc_cfg \
		"$IN_TOP/" "$in_dir/"
	mapfile -t args < <(machine_args)
	local from=$dir/$product
	if [[ -n $test ]]; then
		from=$dir/tests/modules/$test/$product
		in_root_at "$(machine_root)" build make --no-print-directory -C "${args[0]#KDIR=}" M="$in_dir/tests/modules/$test" \
			RUSTC=/usr/bin/rustc "${args[@]:1}" "${vars[@]}" modules
	else
		# make finds the compiler, as for users: on Ubuntu, its name contains the version.
		in_root_at "$(machine_root)" build env -u RUSTC make --no-print-directory -C "$in_dir" "${args[@]}" "${vars[@]}" \
			${clippy:+clippy}
	fi
	[[ -f $from ]] || { echo "make made no $from"; return 1; }
	cp -p "$from" "$ko"
}

STEP_TAIL=80 step "${clippy:+clippy: }building $product for $KERNEL${vars[*]:+ with ${vars[*]}}" "module-$name${test:+-$test}" '' "the module does not build" build
printf '%s\n' "$key" > "$stamp"
printf '%s\n' "$ko"
