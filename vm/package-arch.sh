# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016,SC2154
#
# The tests of `make arch`, for vm/package.sh, which sources this file. makepkg and pacman are those of Debian
# 13. DKMS is not part of these tests: on Arch, its package has the hooks that build modules.

arch_builds() {
	copy_checkout "$RUN/arch/src"
	(cd "$RUN/arch/src" && find . | LC_ALL=C sort) > "$RUN/before"
	in_arch_root make -C "$(in_cache "$RUN/arch/src")" arch
	(cd "$RUN/arch/src" && find . | LC_ALL=C sort) > "$RUN/after"
	[[ -z $(LC_ALL=C comm -23 "$RUN/before" "$RUN/after") ]]
	LC_ALL=C comm -13 "$RUN/before" "$RUN/after" | sed -E 's/(\.pkg\.tar)\..*/\1/' > "$RUN/more"
	diff "$RUN/more" - <<-END
		./knetstat-$VERSION-1-x86_64.pkg.tar
		./knetstat-$VERSION-1.src.tar.gz
		./knetstat-dkms-$VERSION-1-any.pkg.tar
	END
	mv "$RUN/arch/src"/*.tar* "$RUN/arch/"
}

in_arch_root() { in_root_at "$ARCH_ROOT" build "$@"; }
pacman() {
	in_arch_root env -C "$(in_cache "$RUN/arch")" \
		pacman --config pacman.conf --root root --dbpath root/var/lib/pacman --noconfirm "$@"
}

arch_what_is_missing() {
	fails keep in_root_at "$("$VM/stock-root.sh" debian-13)" build "$IN_TOP/scripts/arch.sh"
	one '^knetstat: building the packages needs makepkg pacman-package-manager libarchive-tools cargo; run: apt install makepkg pacman-package-manager libarchive-tools cargo$'
	[[ $(wc -l < "$OUTPUT") -eq 1 ]]
}

# In an empty root, whose database has no packages: so -dd.
arch_installs() {
	local files
	mkdir -p "$RUN/arch/root/var/lib/pacman"
	# pacman looks for the free space in /etc/mtab, which only systemd makes.
	sed '/^CheckSpace$/d' "$ARCH_ROOT/etc/pacman.conf" > "$RUN/arch/pacman.conf"
	mapfile -t files < <(find "$RUN/arch" -maxdepth 1 -name '*.pkg.tar.*' -printf '%f\n')
	keep pacman -Udd --noscriptlet "${files[@]}"
	keep pacman -Qkk knetstat knetstat-dkms
	[[ $(grep -c ', 0 altered files$' "$OUTPUT") -eq 2 ]]
	(cd "$RUN/arch/root/usr" && find . ! -type d ! -path './src/*' | LC_ALL=C sort) > "$RUN/files"
	diff "$RUN/files" - <<-END
		./bin/knetstat
		./share/bash-completion/completions/knetstat
		./share/doc/knetstat-dkms/README.md
		./share/doc/knetstat-dkms/package.md
		./share/fish/vendor_completions.d/knetstat.fish
		./share/licenses/knetstat/LICENSE.dependencies
		./share/man/man4/knetstat.4.gz
		./share/man/man5/knetstat-check.5.gz
		./share/man/man5/knetstat.5.gz
		./share/man/man8/knetstat.8.gz
		./share/zsh/site-functions/_knetstat
	END
	"$TOP/scripts/dkms-files.sh" install "$RUN/arch/files"
	diff -r "$RUN/arch/files/usr/src" "$RUN/arch/root/usr/src"
	keep in_root_at "$ARCH_ROOT" build "$(in_cache "$RUN/arch")/root/usr/bin/knetstat" --version
	one "^knetstat $(re "$VERSION")$"
	keep pacman -Qi knetstat-dkms
	one '^Depends On +: dkms +gcc +make +rust>=1\.85 +rust-src$'
	one '^Licenses +: GPL-2\.0-only$'
}

arch_removes() {
	keep pacman -Rdd knetstat knetstat-dkms
	[[ -z $(find "$RUN/arch/root" ! -type d -not -path '*/var/*') ]]
	[[ ! -e $RUN/arch/root/usr ]]
}

test_arch() {
	ARCH_ROOT=$("$VM/stock-root.sh" arch)
	mkdir "$RUN/arch"
	try arch::builds arch_builds
	if [[ $STATUS -eq 0 ]]; then
		try arch::install arch_installs
		try arch::remove arch_removes
	else
		skip "arch::*" "the packages do not build"
	fi
	try arch::what_is_missing arch_what_is_missing
	remove_tree "$RUN/arch"
}
