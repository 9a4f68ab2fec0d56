# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016,SC2034,SC2154
#
# The tests of `make rpm`, for vm/package.sh, which sources this file. The packages are installed by rpm in a
# root of Debian 13, whose DKMS builds the module.

make_rpm() { in_root_at "$RPM_ROOT" build env "${@:3}" make -C "$(in_cache "$1")" "${2:-rpm}"; }

rpm_builds() {
	copy_checkout "$RUN/rpm/src"
	(cd "$RUN/rpm/src" && find . | LC_ALL=C sort) > "$RUN/before"
	make_rpm "$RUN/rpm/src"
	(cd "$RUN/rpm/src" && find . | LC_ALL=C sort) > "$RUN/after"
	[[ -z $(LC_ALL=C comm -23 "$RUN/before" "$RUN/after") ]]
	LC_ALL=C comm -13 "$RUN/before" "$RUN/after" |
		diff - <(printf './%s\n' "$RPM" "knetstat-$VERSION-1.src.rpm" "$DKMS_RPM" | LC_ALL=C sort)
	mv "$RUN/rpm/src"/*.rpm "$RUN/rpm/"
}

# The package of the module needs no cargo, and is the same if it is built alone, but for the names of a source
# package and its build.
rpm_dkms_alone() {
	local dir
	make_rpm "$RUN/rpm/src" rpm-dkms CARGO=/no/cargo
	for dir in "$RUN/rpm" "$RUN/rpm/src"; do
		in_rpm_root rpm -qp --qf '[%{PAYLOADDIGEST}\n]%{SUMMARY}\n%{DESCRIPTION}\n%{LICENSE}\n' --requires --scripts --changelog \
			"$(in_cache "$dir/$DKMS_RPM")" > "$dir/about"
	done
	grep -E '^[0-9a-f]{64}$' "$RUN/rpm/about"
	diff "$RUN/rpm/about" "$RUN/rpm/src/about"
	[[ ! -e $RUN/rpm/src/$RPM ]]
	fails keep make_rpm "$RUN/rpm/src" rpm CARGO=/no/cargo
	one '^knetstat: building the packages needs cargo; run: apt install cargo$'
}

rpm_lint() {
	# The spec as it is in the package of the sources.
	in_root_at "$RPM_ROOT" build sh -euc 'cd "$1" && rpm2cpio ./knetstat-*.src.rpm | cpio -i --quiet ./knetstat.spec' \
		sh "$(in_cache "$RUN/rpm")"
	keep in_root_at "$RPM_ROOT" build env -C "$(in_cache "$RUN/rpm")" \
		rpmlint --strict --config "$IN_TOP/scripts/packages/rpmlint.toml" knetstat.spec "$RPM" "$DKMS_RPM" "knetstat-$VERSION-1.src.rpm"
	one ' 0 errors, 0 warnings'
}

# What Fedora's guidelines ask for beyond rpmlint: the crates in the program and their licenses, and the
# license text.
rpm_contents() {
	local crate
	keep in_rpm_root rpm -qp --provides "$(in_cache "$RUN/rpm/$RPM")"
	[[ $(grep -c '^bundled(crate(' "$OUTPUT") -gt 20 ]]
	for crate in clap serde_json libc; do
		one "^bundled\(crate\($crate\)\) = $(sed -n "/^name = \"$crate\"$/{ n; s/version = \"\(.*\)\"/\1/p }" "$TOP/tools/Cargo.lock")$"
	done
	keep in_rpm_root rpm -qp --licensefiles "$(in_cache "$RUN/rpm/$RPM")"
	one '/LICENSE$'
	one '/LICENSE\.dependencies$'
	keep in_rpm_root rpm -qp --licensefiles "$(in_cache "$RUN/rpm/$DKMS_RPM")"
	one '/LICENSE$'
	keep in_rpm_root rpm -qp --qf '%{NAME}: %{LICENSE}: %{ARCH}\n' "$(in_cache "$RUN/rpm/$RPM")" "$(in_cache "$RUN/rpm/$DKMS_RPM")"
	one '^knetstat: GPL-2\.0-only AND .*\(MIT OR Apache-2\.0\).*: x86_64$'
	one '^knetstat-dkms: GPL-2\.0-only: noarch$'
	keep in_rpm_root rpm -qp --changelog "$(in_cache "$RUN/rpm/$RPM")"
	one "^\* .* - $(re "$VERSION")-1$"
}

rpm_what_is_missing() {
	fails keep in_root_at "$("$VM/stock-root.sh" debian-13)" build "$IN_TOP/scripts/rpm.sh" all
	one '^knetstat: building the packages needs rpm cargo; run: apt install rpm cargo$'
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
}

in_rpm_root() { in_root_at "$RPM_ROOT" build "$@"; }

# A machine that has what the packages need, and the directories that Fedora's package filesystem has.
rpm_machine() {
	in_copy apt-get install -y rpm dkms gcc make rustc rust-src openssl
	mkdir -p "$COPY"/usr/share/{bash-completion/completions,fish/vendor_completions.d,zsh/site-functions,licenses,man/man4}
	in_copy rpm --initdb
	list "$COPY" > "$RUN/listed"
}

rpm_in_copy() { in_copy env -C "$(in_cache "$RUN/rpm")" rpm "$@"; }

# has_module VERSION: DKMS has this version of the module, and no other, installed for the kernel.
has_module() {
	keep in_copy dkms status knetstat
	one "^knetstat/$(re "$1, $RELEASE"), x86_64: installed$"
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
	keep in_copy modinfo -k "$RELEASE" knetstat
	one "^filename: +/lib/modules/$(re "$RELEASE")/updates/dkms/knetstat\.ko"
	one "^version: +$(re "$1")$"
	one "^vermagic: +$(re "$RELEASE") "
}

# The database of rpm has no packages here: Debian's are not in it. So no dependency is met, but no other than
# these may be missing. From here on, --nodeps leaves them to apt, which has installed them.
rpm_dependencies() {
	fails keep rpm_in_copy -i "./$RPM" "./$DKMS_RPM"
	sed -nE 's/^\t(.*) is needed by (.*)-[^-]*-[^-]*$/\2: \1/p' "$OUTPUT" | LC_ALL=C sort > "$RUN/unmet"
	diff "$RUN/unmet" - <<-END
		knetstat-dkms: /bin/sh
		knetstat-dkms: /usr/bin/bash
		knetstat-dkms: dkms
		knetstat-dkms: gcc
		knetstat-dkms: make
		knetstat-dkms: rust >= 1.85
		knetstat-dkms: rust-src >= 1.85
		knetstat: rtld(GNU_HASH)
	END
}

rpm_installs() {
	keep rpm_in_copy -i --nodeps "./$RPM" "./$DKMS_RPM"
	has_module "$VERSION"
	# All files are as in the packages.
	keep in_copy rpm -V --nodeps knetstat knetstat-dkms
	[[ ! -s $OUTPUT ]]
	keep in_copy knetstat --version
	one "^knetstat $(re "$VERSION")$"
	in_copy "$IN_TOP/debian/tests/command"
	keep in_copy rpm -ql knetstat
	for file in bin/knetstat share/man/man8/knetstat.8.gz share/man/man5/knetstat-check.5.gz share/bash-completion/completions/knetstat \
		share/zsh/site-functions/_knetstat share/fish/vendor_completions.d/knetstat.fish; do
		one "^/usr/$file$"
	done
	# The sources are those of the package for Debian, apart from how scripts find their shell.
	"$TOP/scripts/dkms-files.sh" install "$RUN/rpm/files"
	sed -i '1s,^#!/usr/bin/env bash$,#!/usr/bin/bash,' "$RUN/rpm/files/usr/src/knetstat-$VERSION/scripts"/*.sh
	diff -r "$RUN/rpm/files/usr/src/knetstat-$VERSION" "$COPY/usr/src/knetstat-$VERSION"
}

rpm_reinstalls() {
	keep rpm_in_copy -U --replacepkgs --nodeps "./$DKMS_RPM"
	has_module "$VERSION"
	keep in_copy rpm -V --nodeps knetstat-dkms
	[[ ! -s $OUTPUT ]]
}

# An upgrade to a newer version, on a machine with a kernel for which the module cannot be built.
rpm_upgrades() {
	local newer=$VERSION.1 dir
	copy_checkout "$RUN/rpm/newer"
	sed -i "s/^\(const VERSION: &str = \"\).*\";/\1$newer\";/" "$RUN/rpm/newer/knetstat.rs"
	sed -i "1s/($VERSION)/($newer)/" "$RUN/rpm/newer/debian/changelog"
	make_rpm "$RUN/rpm/newer" rpm-dkms
	make_old_kernel
	keep rpm_in_copy -U --nodeps "newer/${DKMS_RPM/-$VERSION-/-$newer-}"
	one "$TOO_OLD_LINE"
	rm -r "${COPY:?}/lib/modules/$TOO_OLD"
	has_module "$newer"
	for dir in "$COPY/usr/src" "$COPY/var/lib/dkms/knetstat"; do fails compgen -G "$dir/*$VERSION"; done
}

rpm_erases() {
	keep rpm_in_copy -e knetstat-dkms knetstat
	nothing_of_ours
	fails compgen -G "$COPY/usr/share/doc/knetstat*"
	fails compgen -G "$COPY/usr/share/licenses/knetstat*"
	list "$COPY" | grep -v '^/var/lib/rpm/' > "$RUN/left"
	LC_ALL=C comm -23 "$RUN/left" "$RUN/listed" > "$RUN/more"
	cat "$RUN/more"
	fails grep -vE "$MADE_BY_OTHERS" "$RUN/more"
}

# Without headers, the package says what to do.
rpm_without_headers() {
	mv "$COPY/lib/modules/$RELEASE/build" "$COPY/build.away"
	keep rpm_in_copy -i --nodeps "./$DKMS_RPM"
	mv "$COPY/build.away" "$COPY/lib/modules/$RELEASE/build"
	one '^knetstat: no kernel has headers here; install kernel-devel of your kernel, then run: dkms autoinstall$'
	[[ -z $(module_of "$RELEASE") ]]
	keep in_copy dkms autoinstall -k "$RELEASE"
	has_module "$VERSION"
	in_copy rpm -e knetstat-dkms
	nothing_of_ours
}

test_rpm() {
	RPM_ROOT=$("$VM/stock-root.sh" rpm)
	RPM=knetstat-$VERSION-1.x86_64.rpm DKMS_RPM=knetstat-dkms-$VERSION-1.noarch.rpm
	COPY=$RUN/rpm/root
	mkdir "$RUN/rpm"
	try rpm::builds rpm_builds
	if [[ $STATUS -ne 0 ]]; then
		skip "rpm::*" "the packages do not build"
		return
	fi
	try rpm::dkms_alone rpm_dkms_alone
	try rpm::rpmlint rpm_lint
	try rpm::contents rpm_contents
	try rpm::what_is_missing rpm_what_is_missing
	cp -a --reflink=auto "$("$VM/stock-root.sh" debian-13)" "$COPY"
	RELEASE=$(kernels) NEW=$RELEASE
	try rpm::machine rpm_machine
	try rpm::dependencies rpm_dependencies
	try rpm::install rpm_installs
	if [[ $STATUS -eq 0 ]]; then
		try rpm::reinstall rpm_reinstalls
		try rpm::upgrade rpm_upgrades
		try rpm::erase rpm_erases
		try rpm::without_headers rpm_without_headers
	else
		skip "rpm::*" "the packages are not installed"
	fi
	remove_tree "$RUN/rpm"
}
