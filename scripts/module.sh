#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Loads, unloads, installs or uninstalls the module, or says in one line why it cannot.
#
# usage: module.sh load|unload|install|uninstall
#
# Environment: KDIR and MAKE (install), KVER (uninstall), INSTALL_MOD_PATH and MANDIR (both).

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Debian has insmod and the like here, which is not in the PATH of every user.
PATH=$PATH:${KNETSTAT_SBIN-/usr/sbin:/sbin}
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
	have modinfo || die "modinfo is missing; run: $(install_command kmod)"
	release=$(modinfo -F vermagic "$ko" 2> /dev/null | cut -d' ' -f1)
	[ -n "$release" ] || die "knetstat.ko is no kernel module, perhaps because a build was interrupted; run: make clean all"
	printf '%s\n' "$release"
}

# index RELEASE: runs depmod, unless ours is the only module, as in the staging directory of a package.
index() {
	if [ -f "${INSTALL_MOD_PATH:-}/lib/modules/$1/modules.builtin" ]; then
		depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} "$1"
	fi
}

# Kbuild would take it for a directory in the build tree.
INSTALL_MOD_PATH=$(from_here "${INSTALL_MOD_PATH:-}")
set_absolute MANDIR
# The directory for the manual pages; empty if they are not installed.
man=${MANDIR:+${INSTALL_MOD_PATH:-}$MANDIR}
pages=(man4/knetstat.4 man5/knetstat.5)

# All users can read installed files, whatever the umask of root is.
umask 022
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
	# EEXIST, which Linux 7.3 turns into EBUSY.
	*"File exists"* | *"Device or resource busy"*)
		die "one of the files in /proc/net is taken by another module; see: ls /proc/net/*stat" ;;
	*"Key was rejected"* | *"key not available"*)
		die "this kernel loads signed modules only (is Secure Boot enabled?); sign knetstat.ko with a key that was enrolled by mokutil, or disable Secure Boot" ;;
	*"Operation not permitted"*)
		die "this kernel does not allow modules to be loaded; see: cat /proc/sys/kernel/modules_disabled /sys/kernel/security/lockdown" ;;
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
	# Debian's depmod prefers neither place, so an older module could be loaded.
	modules=${INSTALL_MOD_PATH:-}/lib/modules/$for_release
	mapfile -t files < <(find "$modules/updates" "$modules/extra" -name 'knetstat.ko*' \
		! -path "$modules/updates/knetstat.ko*" 2> /dev/null)
	if [ ${#files[@]} != 0 ]; then
		die "${files[0]} is installed already; remove it first, for example with its package, knetstat-dkms"
	fi
	# Sign the module only if the key of the kernel's own modules is available, which is rare.
	key=$(config_value "$KDIR/include/config/auto.conf" MODULE_SIG_KEY)
	case ${key:=certs/signing_key.pem} in pkcs11:* | /*) ;; *) key=$KDIR/$key ;; esac
	sign=(CONFIG_MODULE_SIG_ALL=)
	if [[ $key = pkcs11:* || -f $key ]]; then
		sign=()
	fi
	# Before Linux 6.2, the default of INSTALL_MOD_DIR is another one.
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
	# The pages stay as long as the module is installed for another kernel.
	if [ -n "$man" ] && ! compgen -G "${INSTALL_MOD_PATH:-}/lib/modules/*/updates/knetstat.ko*" > /dev/null; then
		rm -f -- "${pages[@]/#/"$man/"}"
	fi
	;;
*) die "usage: $0 load|unload|install|uninstall" ;;
esac
