# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. Others are related to this one: RHEL,
# CentOS Stream, AlmaLinux, Rocky Linux, Oracle Linux, Amazon Linux 2023.

MANAGER=dnf
RUST_PACKAGES=(rust rust-src)
RUST_INSTEAD=
CARGO_PACKAGE=cargo
KERNEL_RUSTC_PACKAGE=rust
LIBC_PACKAGE=glibc-static
RPMBUILD_PACKAGE=rpm-build
MAKEPKG_PACKAGES=(pacman)
METADATA_SOURCE=

# rhel: the version of RHEL or of what was made from it, such as 9.6. CentOS Stream has 9, and Fedora and
# Amazon Linux have none.
rhel() {
	case " $(os_release ID) $(os_release ID_LIKE) " in
	*" rhel "* | *" ol "*) os_release VERSION_ID ;;
	esac
}

# glibc_repository: where RHEL and its relatives have glibc-static. It is not enabled there.
glibc_repository() {
	local version
	version=$(rhel)
	version=${version%%.*}
	[ -n "$version" ] || return 0
	case $(os_release ID) in
	rhel) echo "codeready-builder-for-rhel-$version-$(uname -m)-rpms" ;;
	ol) echo "ol${version}_codeready_builder" ;;
	*) echo crb ;;
	esac
}

install_command() {
	local repository=
	case " $* " in
	*" $LIBC_PACKAGE "*) repository=$(glibc_repository) ;;
	esac
	as_root dnf install ${repository:+"--enablerepo=$repository"} "$@"
}
reinstall_command() { as_root dnf reinstall "$@"; }

# The flavour of a kernel is at the end of its release: 6.12.0-55.el10.x86_64+rt. Some releases name it in
# the middle: Oracle's UEK, and the realtime kernels of RHEL 9.0 to 9.2 (5.14.0-70.13.1.rt21.83.el9_0.x86_64).
# Amazon's newer kernels have their version in the package's name (6.12.20-23.97.amzn2023.x86_64).
headers_package() {
	local flavour=
	case $1 in
	*uek.*) flavour=-uek ;;
	*.rt[0-9]*) flavour=-rt ;;
	6.1.*.amzn*) ;;
	*.amzn*) flavour=$(version_of "$1") ;;
	esac
	case $1 in
	*+*) flavour+=-${1##*+} ;;
	esac
	echo "kernel$flavour-devel-${1%+*}"
}

cross_gcc_package() { echo "gcc-${1//_/-}"; }

tool_package() {
	case $1 in
	clippy-driver) echo clippy ;;
	rustdoc) echo rust ;;
	*) echo "$1" ;;
	esac
}

rust_library_of() { :; }
metadata_command() { :; }
newest_kernel() { :; }

# RHEL gets a newer rustc in each minor release. A machine may stay on one that has none from 1.85 on, and
# a machine that does not stay gets the newest one. rust-toolset contains rustc and cargo.
case $(rhel) in
9.[0-6] | 10.0)
	RUST_PACKAGES=()
	CARGO_PACKAGE=
	RUST_INSTEAD="$(install_command rust-toolset rust-src), or, if that rustc is older than $oldest_rustc: rustup toolchain install stable --component rust-src && rustup default stable (rustup is at https://rustup.rs)"
	;;
esac
