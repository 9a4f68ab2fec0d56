#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shellcheck disable=SC2016 # Text in quotes is for the shell in a root.
#
# Tests the packages as an administrator uses them: `make deb`, apt install in a minimal root of each
# release, modprobe in the unmodified kernel that is installed there and boots from that root, the command,
# an upgrade of the package, more kernels, kernels for which it cannot be built, removal. "rpm" and "arch" test
# `make rpm` and `make arch`, without a boot. Ends with a line that sums up, and fails unless every test
# passed.
#
# usage: vm/package.sh [KERNEL|rpm|arch]...    (default: debian-12 debian-13 debian-13-backports rpm arch)

. "$(dirname "$0")/lib.sh"

[[ $# -gt 0 ]] || set -- debian-12 debian-13 debian-13-backports rpm arch
others=() guests=()
for name; do
	case $name in
	rpm | arch) others+=("$name") ;;
	*)
		check_kernel_name "$name"
		guests+=("$name")
		;;
	esac
done
set -- "${guests[@]}"
check_host
ROOT=$("$VM/root.sh")
[[ $# -eq 0 ]] || DEB_ROOT=$("$VM/stock-root.sh" deb)
for name in "$@" "${others[@]}"; do "$VM/stock-root.sh" "$name" > /dev/null; done
check_disk 6
lock_use
cargo_settings
RUN=$(mktemp -d "$CACHE/run/package.XXXXXX")
# The process group of the test that runs.
TRY=
# end: ends it, with its guest or what it runs in a root.
end() {
	if [[ -z $TRY ]] || ! kill -- "-$TRY" 2> /dev/null; then return; fi
	sleep 1
	kill -KILL -- "-$TRY" 2> /dev/null || true
}
trap 'end; remove_tree "$RUN"' EXIT
LOGS=$CACHE/log/package$OF_TOP
mkdir -p "$LOGS"
passed=0 failed=0 skipped=0 begun=$SECONDS

# try NAME FUNCTION [ARGUMENT]...: runs a test, which fails if one of its commands fails. Its output goes to
# a log; STATUS is 0 if it passed. Not to be called in a condition, where `set -e` would not hold.
try() {
	local name=$1 log=$LOGS/$1.log start=$SECONDS
	shift
	STATUS=0
	# In a process group of its own, so that all its processes can be ended.
	set -m
	(
		set +m
		set -eE
		trap 'echo "FAILED in line $LINENO: $BASH_COMMAND"' ERR
		"$@"
	) < /dev/null > "$log" 2>&1 &
	TRY=$!
	set +m
	wait "$TRY" || STATUS=$?
	TRY=
	if [[ $STATUS -eq 0 ]]; then
		echo "test $name ... ok ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "test $name ... FAILED, see $log"
		tail -n 15 "$log" | sed 's/^/     /'
		failed=$((failed + 1))
	fi
}

skip() {
	echo "test $1 ... ignored, $2"
	skipped=$((skipped + 1))
}

# in_copy COMMAND...: runs it in the root under test, with an administrator's environment.
in_copy() { in_root_at "$COPY" build env -u RUSTC "$@"; }
# re TEXT: the pattern that matches this text.
re() {
	local text=${1//./\\.}
	printf '%s\n' "${text//+/\\+}"
}
# says PATTERN: shows the lines of the output that match, and fails if there are none. `one` fails unless
# there is exactly one.
says() { grep -E -- "$1" "$OUTPUT"; }
one() { says "$1" && [[ $(grep -cE -- "$1" "$OUTPUT") -eq 1 ]]; }
# keep COMMAND...: shows its output and keeps it in $OUTPUT, without carriage returns: apt runs dpkg in a
# terminal. The status is the command's.
keep() {
	local status=0
	"$@" > "$OUTPUT" 2>&1 || status=$?
	sed -i 's/\r$//' "$OUTPUT"
	cat "$OUTPUT"
	return "$status"
}
# fails COMMAND...: like `!`, whose result `set -e` ignores.
fails() { if "$@"; then return 1; fi; }
module_of() { find "$COPY/lib/modules/$1/" -name 'knetstat.ko*' -printf '%P\n'; }
kernels() { find "$COPY/boot" -name 'vmlinuz-*' -printf '%f\n' | sed 's/vmlinuz-//' | sort; }

# copy_checkout DIR: a copy to build packages in.
copy_checkout() {
	mkdir -p "$1"
	tar -C "$TOP" --exclude=./.git --exclude=target --exclude='./knetstat[-_]*' -c . | tar -C "$1" -x
}
# make_deb DIR [TARGET] [VARIABLE]...
make_deb() { in_root_at "$DEB_ROOT" build env "${@:3}" make -C "$(in_cache "$1")" "${2:-deb}"; }

deb_builds() {
	copy_checkout "$RUN/src"
	(cd "$RUN/src" && find . | sort) > "$RUN/before"
	make_deb "$RUN/src"
	(cd "$RUN/src" && find . | sort) > "$RUN/after"
	[[ $(comm -13 "$RUN/before" "$RUN/after" | LC_ALL=C sort) == "./$DEB"$'\n'"./$COMMAND" ]]
	[[ -z $(comm -23 "$RUN/before" "$RUN/after") ]]
	cp "$RUN/src/$DEB" "$RUN/src/$COMMAND" "$RUN/"
	# A second build makes the same files.
	make_deb "$RUN/src"
	cmp "$RUN/src/$DEB" "$RUN/$DEB"
	cmp "$RUN/src/$COMMAND" "$RUN/$COMMAND"
}

# The package of the module needs no cargo.
deb_dkms_alone() {
	rm "$RUN/src/$DEB" "$RUN/src/$COMMAND"
	make_deb "$RUN/src" deb-dkms CARGO=/no/cargo
	cmp "$RUN/src/$DEB" "$RUN/$DEB"
	[[ ! -e $RUN/src/$COMMAND ]]
	fails keep make_deb "$RUN/src" deb CARGO=/no/cargo
	one '^knetstat: building the packages needs cargo; run: apt install cargo$'
}

# All have the version of debian/changelog.
deb_version() {
	local conf=usr/src/knetstat-$VERSION/dkms.conf
	[[ $(dpkg-deb -f "$RUN/$DEB" Version) == "$VERSION" ]]
	[[ $(dpkg-deb -f "$RUN/$COMMAND" Version) == "$VERSION" ]]
	[[ $(dpkg-deb --fsys-tarfile "$RUN/$DEB" | tar -xO "./$conf" | sed -n 's/^PACKAGE_VERSION=//p') == "\"$VERSION\"" ]]
	# The module's own.
	[[ $("$TOP/scripts/version.sh") == "$VERSION" ]]
}

deb_lintian() {
	keep in_root_at "$DEB_ROOT" build lintian --allow-root --display-info --pedantic \
		--fail-on error,warning,info,pedantic "$(in_cache "$RUN")/$DEB" "$(in_cache "$RUN")/$COMMAND"
	[[ ! -s $OUTPUT ]]
}

deb_what_is_missing() {
	# A stock root has none of the packages for building packages.
	fails keep in_root_at "$("$VM/stock-root.sh" debian-13)" build "$IN_TOP/scripts/deb.sh" all
	one '^knetstat: building the packages needs dpkg-dev debhelper dh-dkms cargo; run: apt install dpkg-dev debhelper dh-dkms cargo$'
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
}

install_package() {
	keep in_copy apt-get install -y "$(in_cache "$RUN")/$DEB" "$(in_cache "$RUN")/$COMMAND"
	keep in_copy dkms status knetstat
	one "^knetstat/$(re "$VERSION, $RELEASE"), x86_64: installed$"
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
	[[ $(module_of "$RELEASE") == updates/dkms/knetstat.ko* ]]
}

# The commands of an administrator in the guest, with a socket to look at.
cat > "$RUN/in-guest" <<'END'
set -e
uname -r
modprobe knetstat
modinfo knetstat
perl -MIO::Socket::INET -e '
	$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:7777") or die;
	system "cat", "/proc/net/tcpstat"'
cat /proc/net/udp6stat
perl -MIO::Socket::INET -e '
	$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:7778") or die;
	print "as root:\n";
	system "knetstat -tanp sport = :7778 2>&1";
	print "as nobody:\n";
	system "setpriv --reuid nobody --regid nogroup --clear-groups knetstat -tanp sport = :7778 2>&1"'
rmmod knetstat
echo "without the module:"
knetstat -tanp && exit 1
[ ! -e /proc/net/tcpstat ]
dmesg
echo end
END

boots() {
	local release=$1 pattern field
	pattern=$(re "$release")
	keep "$VM/run.sh" --root "$COPY" --release "$release" "$KERNEL" "$(cat "$RUN/in-guest")"
	one "^$pattern$"
	for field in "filename: +/lib/modules/$pattern/updates/dkms/knetstat\.ko(\.xz)?" "author: +The knetstat authors" \
		"description: +Socket options .*" "license: +GPL v2" "version: +$(re "$VERSION")" "name: +knetstat" "depends: *" "vermagic: +$pattern SMP .*" \
		"signer: +DKMS module signing key" "sig_hashalgo: +sha[0-9]+"; do
		one "^$field$"
	done
	one ' 127\.0\.0\.1:7777 .* LSTN .*SO_KEEPALIVE=0.*uid=0'
	says '^Recv-Q Send-Q Local Address +Foreign Address +Options$'
	sed -n '/^as root:$/,/^as nobody:$/p' "$OUTPUT" |
		grep -E '^tcp .* 127\.0\.0\.1:7778 .* LSTN .*uid=0,ino=[0-9]+ users:\(\("perl",pid=[0-9]+,fd=[0-9]+\)\)$'
	sed -n '/^as nobody:$/,/^without/p' "$OUTPUT" | grep -E '^tcp .* 127\.0\.0\.1:7778 .* LSTN .*uid=0,ino=[0-9]+ \?$'
	one '^knetstat: cannot examine [0-9]+ processes, so owners may be missing; run as root to see all owners$'
	one '^knetstat: the module knetstat is not loaded; as root: modprobe knetstat$'
	fails says 'BUG:|WARNING:|Oops|disagrees about version|Unknown symbol|knetstat: .*(no symbol version|not found)'
	one '^end$'
}

# systemd, as the first process of a PID namespace, loads the module at boot as the manual page says. Its
# timer runs the page's script for Prometheus. The commands are taken from the pages.
cat > "$RUN/by-systemd" <<'END'
set -e
page() { MANWIDTH=200 man -E ascii -P cat "$1" knetstat; }
page 4 | sed -n 's/^ *\(echo knetstat > .*\)/\1/p' > /root/load
page 5 | sed -n "/# cat > .*metrics <<'END'/,/> END/s/^ *[>#] //p" > /root/install-metrics
page 5 | sed -n 's/^ *\(systemd-run .*\)/\1/p' > /root/timer
cat /root/load /root/install-metrics /root/timer
mkdir -p /var/lib/prometheus/node-exporter
sh -ex /root/load
sh -ex /root/install-metrics
chmod +x /usr/local/sbin/knetstat-metrics
cat > /etc/systemd/system/look.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/root/look
ExecStopPost=systemctl exit
UNIT
cat > /root/look <<'LOOK'
#!/bin/sh
exec > /root/looked 2>&1
ls /proc/net/tcpstat
perl -MIO::Socket::INET -e '
	$listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:7779") or die;
	$client = IO::Socket::INET->new("127.0.0.1:7779") or die;
	$server = $listener->accept or die;
	setsockopt $client, SOL_SOCKET, SO_KEEPALIVE, 1 or die;
	sleep 600' &
until grep -q SO_KEEPALIVE=1 /proc/net/tcpstat; do sleep 0.1; done
sh -ex /root/timer
n=0
until cat /var/lib/prometheus/node-exporter/knetstat.prom || [ $n = 150 ]; do sleep 1; n=$((n + 1)); done 2> /dev/null
systemctl list-timers --all
LOOK
chmod +x /root/look
# systemd loads it, not this script.
[ ! -e /proc/net/tcpstat ]
unshare --pid --fork --mount-proc env container=other /lib/systemd/systemd --unit=look.service < /dev/null || true
cat /root/looked
echo end
END

# In a copy, because some roots have no systemd, and it leaves files behind.
by_systemd() {
	mkdir "$RUN/$KERNEL/systemd"
	cp -a --reflink=auto "$COPY" "$RUN/$KERNEL/systemd/root"
	COPY=$RUN/$KERNEL/systemd/root
	in_copy apt-get install -y systemd
	keep "$VM/run.sh" --root "$COPY" "$KERNEL" "$(cat "$RUN/by-systemd")"
	remove_tree "$RUN/$KERNEL/systemd"
	one '^/proc/net/tcpstat$'
	one '^knetstat_tcp_established 2$'
	one '^knetstat_tcp_keepalive_off 1$'
	one '^knetstat_tcp_nodelay_off 2$'
	one '^end$'
}

# The files that come with the command.
command_has() {
	keep in_copy knetstat --version
	one "^knetstat $(re "$VERSION")$"
	keep in_copy man -Tutf8 8 knetstat
	says "$(sed -n 's/^\.Nd //p' "$TOP/man/knetstat.8")"
	# Only of man itself: the page has this word, too.
	keep in_copy sh -c 'man --warnings -Tutf8 8 knetstat 2>&1 > /dev/null'
	fails says 'warning'
	keep in_copy ldd /usr/bin/knetstat || true
	says 'statically linked|not a dynamic executable'
	keep in_copy dpkg -L knetstat
	for file in bin/knetstat share/man/man8/knetstat.8.gz share/man/man5/knetstat-check.5.gz share/bash-completion/completions/knetstat \
		share/zsh/vendor-completions/_knetstat share/fish/vendor_completions.d/knetstat.fish; do
		one "^/usr/$file$"
	done
	for file in knetstat-metrics.service knetstat-metrics.timer; do
		one "^(/usr)?/lib/systemd/system/$file$"
		fails in_copy test -e "/etc/systemd/system/timers.target.wants/$file"
	done
}

# Completions in the shells; in a copy, because these leave files behind, such as Python's.
command_completes() {
	cp -a --reflink=auto "$COPY" "$RUN/$KERNEL/shells"
	COPY=$RUN/$KERNEL/shells
	in_copy apt-get install -y zsh fish bash-completion
	in_copy "$IN_TOP/tools/knetstat/tests/shells.zsh"
	remove_tree "$COPY"
}

# The tests that autopkgtest runs.
debians_tests() {
	in_copy "$IN_TOP/debian/tests/build"
	in_copy "$IN_TOP/debian/tests/command"
	"$VM/run.sh" --root "$COPY" --release "$RELEASE" "$KERNEL" "$IN_TOP/debian/tests/load"
}

# modprobe with Secure Boot, if the key is not enrolled.
refused_unknown_key() {
	keep "$VM/run.sh" --root "$COPY" --append module.sig_enforce=1 "$KERNEL" \
		'modprobe knetstat && exit 1; dmesg | grep -i "loading of module"; [ ! -e /proc/net/tcpstat ]'
	one "^modprobe: ERROR: could not insert 'knetstat': Key was rejected by service$"
	one 'Loading of module with unavailable key is rejected$'
}

TOO_OLD=5.9.0-99-amd64
TOO_OLD_LINE="^knetstat: Linux $TOO_OLD is too old, knetstat needs 5\.10 or later; "

# make_old_kernel: headers of a kernel that is too old.
make_old_kernel() {
	local build=$COPY/lib/modules/$TOO_OLD/build
	mkdir -p "$build/include/config" "$build/include/generated"
	touch "$build/Makefile"
	echo "#define UTS_RELEASE \"$TOO_OLD\"" > "$build/include/generated/utsrelease.h"
	echo 5.9.0 > "$build/include/config/kernel.release"
	printf 'CONFIG_X86_64=y\nCONFIG_64BIT=y\n' | tee "$build/.config" > "$build/include/config/auto.conf"
}

# An upgrade to a newer version of the package, on a machine with a kernel that is too old.
newer_version() {
	local newer=$VERSION+newer
	copy_checkout "$RUN/newer"
	sed -i "1s/($VERSION)/($newer)/" "$RUN/newer/debian/changelog"
	make_deb "$RUN/newer" deb-dkms
	make_old_kernel
	keep in_copy sh -c '
		# All kernels, also with a dkms that would build for the newest only.
		mkdir -p /etc/dkms/framework.conf.d
		sed -i "s/^# autoinstall_all_kernels=.*/autoinstall_all_kernels=yes/" /etc/dkms/framework.conf
		apt-get install -y "$1"' sh "$(in_cache "$RUN")/newer/${DEB/_$VERSION/_$newer}"
	one "$TOO_OLD_LINE"
	keep in_copy dkms status knetstat
	one "^knetstat/$(re "$newer, $RELEASE"), x86_64: installed$"
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
	[[ -d $COPY/usr/src/knetstat-$newer && ! -e $COPY/usr/src/knetstat-$VERSION ]]
	[[ ! -e $COPY/var/lib/dkms/knetstat/$VERSION ]]
	# The hooks of that kernel's packages.
	keep in_copy sh -c '
		for dir in postinst.d header_postinst.d; do run-parts --exit-on-error --arg="$1" "/etc/kernel/$dir"; done' sh "$TOO_OLD"
	says "$TOO_OLD_LINE"
	[[ $(grep -cE "$TOO_OLD_LINE" "$OUTPUT") -eq 2 ]]
	rm -r "${COPY:?}/lib/modules/$TOO_OLD"
	[[ -n $(module_of "$RELEASE") ]]
}

# Another kernel, NEW_KERNEL, is installed, as by an upgrade; its release is NEW.
new_kernel() {
	# shellcheck disable=SC2086 # Lists of names.
	keep in_copy apt-get install -y $NEW_KERNEL
	keep in_copy dkms status knetstat
	one "^knetstat/[^,]*, $(re "$RELEASE"), x86_64: installed$"
	one "^knetstat/[^,]*, $(re "$NEW"), x86_64: installed$"
	[[ $(module_of "$NEW") == updates/dkms/knetstat.ko* ]]
	grep 'updates/dkms/knetstat' "$COPY/lib/modules/$NEW/modules.dep"
}

# again: installs that kernel once more, as if for the first time.
again() {
	if [[ -n $(module_of "$NEW") ]]; then
		in_copy dkms unbuild "$(basename "$(echo "$COPY"/usr/src/knetstat-*)" | sed 's/-/\//')" -k "$NEW"
	fi
	[[ -z $(module_of "$NEW") ]]
	keep in_copy apt-get install -y --reinstall "linux-image-$NEW"
}

without_compiler() {
	mv "$COPY/usr/bin/rustc" "$COPY/usr/bin/rustc.away"
	again
	mv "$COPY/usr/bin/rustc.away" "$COPY/usr/bin/rustc"
	one '^knetstat: rustc is missing; run: apt install rustc(-web)? rust(-web)?-src$'
	[[ -z $(module_of "$NEW") && -n $(module_of "$RELEASE") ]]
}

compiler_stops() {
	local walk log
	walk=$(echo "$COPY"/usr/src/knetstat-*/sockets/walk.rs)
	cp "$walk" "$RUN/walk.rs"
	echo 'This is not Rust.' >> "$walk"
	again
	cp "$RUN/walk.rs" "$walk"
	log=$(says '/var/lib/dkms/knetstat/.*/make\.log' | sed -nE '$s/.*(\/var\/lib\/dkms\/[^ ]*\/make\.log).*/\1/p')
	grep -F 'This is not Rust.' "$COPY/$log"
	cat "$OUTPUT" "$COPY/$log" | grep -F "knetstat: the module does not build for Linux $NEW, which is passed over"
	[[ -z $(module_of "$NEW") && -n $(module_of "$RELEASE") ]]
}

# The missing packages are installed later.
made_up_for() {
	keep in_copy dkms autoinstall -k "$NEW"
	[[ -n $(module_of "$NEW") ]]
}

# list ROOT: its paths, without those of apt and dpkg, alternatives, and logs.
list() {
	find "$1" -xdev ! -lname '/etc/alternatives/*' -printf '/%P\n' |
		grep -vE '^/(var/(lib/(apt|dpkg)|cache|log|backups)|tmp|run|proc|sys|dev|knetstat|cache|vm)(/|$)' | LC_ALL=C sort
}

# nothing_of_ours: no file of the packages is left, nor anything that DKMS made of them.
nothing_of_ours() {
	[[ ! -e $COPY/usr/bin/knetstat ]]
	# A directory may be missing, as that of a shell.
	fails grep -rqs knetstat "$COPY"/usr/share/{man,zsh,fish,bash-completion}
	[[ -z $(module_of "$RELEASE")$(module_of "$NEW") ]]
	[[ ! -e $COPY/var/lib/dkms/knetstat ]]
	fails compgen -G "$COPY/usr/src/knetstat-*"
	fails compgen -G "$COPY/lib/modules/*/updates"
	fails grep -l knetstat "$COPY"/lib/modules/*/modules.dep
}

removed() {
	keep in_copy apt-get purge -y knetstat-dkms knetstat
	nothing_of_ours
}

# All new paths belong to packages, or were made by their scripts or dkms.
nothing_left() {
	list "$COPY" > "$RUN/left"
	# As packages name them: what is in /lib is in /usr/lib.
	cat "$COPY"/var/lib/dpkg/info/*.list | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | LC_ALL=C sort -u > "$RUN/owned"
	LC_ALL=C comm -23 "$RUN/left" "$RUN/listed" | LC_ALL=C comm -23 - "$RUN/owned" > "$RUN/more"
	cat "$RUN/more"
	fails grep -vE "$MADE_BY_OTHERS" "$RUN/more"
	[[ ! -e $COPY/etc/modules-load.d/knetstat.conf ]]
}
MADE_BY_OTHERS='^/boot/(config|vmlinuz)-|^/etc/alternatives/|^/usr/lib/modules/[^/]+/modules\.[a-z.]+$|^/var/lib/dkms/mok\.(key|pub)$'

DEB='' OUTPUT=$RUN/output
VERSION=$(sed -n '1s/^knetstat (\(.*\)) .*/\1/p' "$TOP/debian/changelog")
DEB=knetstat-dkms_${VERSION}_all.deb
COMMAND=knetstat_${VERSION}_amd64.deb
# shellcheck source=vm/package-rpm.sh
. "$VM/package-rpm.sh"
# shellcheck source=vm/package-arch.sh
. "$VM/package-arch.sh"
for name in "${others[@]}"; do "test_$name"; done

sum_up() {
	note "$(elapsed $((SECONDS - begun))) min; logs are in $LOGS"
	echo "$passed passed, $failed failed, $skipped skipped"
	[[ $failed -eq 0 && $passed -gt 0 ]]
}
if [[ $# -eq 0 ]]; then
	sum_up
	exit
fi

try deb::builds deb_builds
if [[ $STATUS -ne 0 ]]; then
	sum_up
	exit
fi
try deb::dkms_alone deb_dkms_alone
try deb::version deb_version
try deb::lintian deb_lintian
try deb::what_is_missing deb_what_is_missing

for KERNEL; do
	load_guest "$KERNEL"
	COPY=$RUN/$KERNEL/root
	mkdir "$RUN/$KERNEL"
	cp -a --reflink=auto "$("$VM/stock-root.sh" "$KERNEL")" "$COPY"
	# With manual pages, like most machines.
	sed -i '\|/usr/share/man/|d' "$COPY/etc/dpkg/dpkg.cfg.d/knetstat"
	in_copy apt-get install -y man-db > "$LOGS/man-db.log" 2>&1
	list "$COPY" > "$RUN/listed"
	RELEASE=$(kernels)
	# An upgrade, for Debian 13, and another flavour for the others.
	case $KERNEL in
	debian-13) NEW_KERNEL="-t trixie-backports linux-image-amd64 linux-headers-amd64" ;;
	*-backports) NEW_KERNEL="linux-image-amd64 linux-headers-amd64" ;;
	*) NEW_KERNEL="linux-image-cloud-amd64 linux-headers-cloud-amd64" ;;
	esac
	note "== $KERNEL: $RELEASE"
	try "$KERNEL::install" install_package
	if [[ $STATUS -ne 0 ]]; then
		skip "$KERNEL::*" "the package is not installed"
		continue
	fi
	try "$KERNEL::modprobe" boots "$RELEASE"
	try "$KERNEL::by_systemd" by_systemd
	try "$KERNEL::command" command_has
	try "$KERNEL::completions" command_completes
	try "$KERNEL::debians_tests" debians_tests
	try "$KERNEL::unknown_key" refused_unknown_key
	try "$KERNEL::newer_version" newer_version
	# shellcheck disable=SC2086 # A list of names.
	NEW=$(in_copy sh -c 'apt-get install -s "$@" | sed -nE "s/^Inst linux-image-([0-9][^ ]*) .*/\1/p"' sh $NEW_KERNEL)
	try "$KERNEL::new_kernel" new_kernel
	try "$KERNEL::new_kernel_modprobe" boots "$NEW"
	try "$KERNEL::without_compiler" without_compiler
	try "$KERNEL::compiler_stops" compiler_stops
	try "$KERNEL::made_up_for" made_up_for
	try "$KERNEL::purge" removed
	try "$KERNEL::nothing_left" nothing_left
	remove_tree "$RUN/$KERNEL"
done

sum_up
