#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh load|unload|install|uninstall: does it, or says in one line why not.
#
# install and uninstall take KDIR, INSTALL_MOD_PATH and MANDIR from the environment.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Where Debian has insmod and the like, which is not on everyone's PATH.
PATH=$PATH:/usr/sbin:/sbin
ko=$scripts/../knetstat.ko

root_for() {
	[ "$(id -u)" = 0 ] || die "only root can do this; run: sudo make $1"
}

built() {
	[ -f "$ko" ] || die "knetstat.ko is not built; run: make"
}

loaded() { [ -d /sys/module/knetstat ] || grep -qs '^knetstat ' /proc/modules; }

built_for() {
	local release
	release=$(modinfo -F vermagic "$ko" 2> /dev/null | cut -d' ' -f1)
	[ -n "$release" ] || die "knetstat.ko is no kernel module: cut short? Build it anew: make clean all"
	printf '%s\n' "$release"
}

# index RELEASE: depmod, where there is more than our module, as in no package's staging directory.
index() {
	if [ -f "${INSTALL_MOD_PATH:-}/lib/modules/$1/modules.builtin" ]; then
		depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} "$1"
	fi
}

# Where the manual pages go, if anywhere.
man=${MANDIR:+${INSTALL_MOD_PATH:-}$MANDIR}
pages=(man4/knetstat.4 man5/knetstat.5)

case ${1:-} in
load)
	built
	root_for load
	if loaded; then
		die "a module knetstat is loaded already; run: make unload"
	fi
	for_release=$(built_for)
	if [ "$for_release" != "$(uname -r)" ]; then
		die "knetstat.ko was built for Linux $for_release, and this is $(uname -r); run: make clean && make"
	fi
	if said=$(insmod "$ko" 2>&1); then
		echo "Loaded. See: cat /proc/net/tcpstat"
		exit
	fi
	case $said in
	# EEXIST, which Linux 7.3 hands on as EBUSY.
	*"File exists"* | *"Device or resource busy"*)
		die "one of the files in /proc/net is taken by another module; see: ls /proc/net/*stat" ;;
	*"Key was rejected"* | *"key not available"*)
		die "this kernel loads signed modules only (Secure Boot?); sign knetstat.ko with a key of the machine's owner (mokutil), or switch Secure Boot off" ;;
	*"Operation not permitted"*)
		die "this kernel does not let modules in; see: cat /proc/sys/kernel/modules_disabled /sys/kernel/security/lockdown" ;;
	*"Invalid module format"* | *"Exec format"* | *"Unknown symbol"*)
		die "knetstat.ko does not fit this kernel ($(dmesg 2>/dev/null | grep -a 'knetstat' | tail -n 1)); run: make clean && make" ;;
	*) die "$said; see: dmesg | tail" ;;
	esac
	;;
unload)
	root_for unload
	if ! loaded; then
		die "knetstat is not loaded"
	fi
	said=$(rmmod knetstat 2>&1) || die "$said"
	;;
install)
	built
	[ -n "${INSTALL_MOD_PATH:-}" ] || root_for install
	for_release=$(built_for)
	kdir_release=$(tree_release "${KDIR:?}")
	if [ "$for_release" != "$kdir_release" ]; then
		die "knetstat.ko was built for Linux $for_release, and $KDIR is ${kdir_release:-no kernel build tree}; run: make install KVER=$for_release"
	fi
	# The key that the kernel's own modules were signed with is seldom at hand.
	key=$(config_value "$KDIR/include/config/auto.conf" MODULE_SIG_KEY)
	case ${key:=certs/signing_key.pem} in pkcs11:* | /*) ;; *) key=$KDIR/$key ;; esac
	sign=(CONFIG_MODULE_SIG_ALL=)
	if [[ $key = pkcs11:* || -f $key ]]; then
		sign=()
	fi
	# The directory has another name before Linux 6.2.
	"${MAKE:-make}" --no-print-directory -C "$KDIR" M="$(dirname "$scripts")" "${sign[@]}" INSTALL_MOD_DIR=updates \
		${INSTALL_MOD_PATH:+INSTALL_MOD_PATH="$INSTALL_MOD_PATH"} DEPMOD=true modules_install 2> \
		>(grep -v "missing 'System.map'" >&2)
	index "$for_release"
	for page in ${man:+"${pages[@]}"}; do
		install -D -m 644 "$scripts/../man/${page#*/}" "$man/$page"
	done
	if [ -z "${INSTALL_MOD_PATH:-}" ]; then
		echo "Installed. Load it with: modprobe knetstat"
	fi
	;;
uninstall)
	[ -n "${INSTALL_MOD_PATH:-}" ] || root_for uninstall
	release=${KVER:-$(uname -r)}
	modules=${INSTALL_MOD_PATH:-}/lib/modules/$release
	mapfile -t files < <(find "$modules/updates" -maxdepth 1 -name 'knetstat.ko*' 2>/dev/null)
	if [ ${#files[@]} = 0 ]; then
		die "knetstat is not installed for Linux $release (nothing in $modules/updates)"
	fi
	rm -f -- "${files[@]}"
	rmdir --ignore-fail-on-non-empty "$modules/updates"
	index "$release"
	# They are those of the module for every kernel.
	if [ -n "$man" ] && ! compgen -G "${INSTALL_MOD_PATH:-}/lib/modules/*/updates/knetstat.ko*" > /dev/null; then
		rm -f -- "${pages[@]/#/$man/}"
	fi
	;;
*) die "usage: $0 load|unload|install|uninstall" ;;
esac
