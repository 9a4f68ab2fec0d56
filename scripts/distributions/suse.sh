# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. openSUSE and SLES.

MANAGER=zypper
# It has no package of the sources.
RUST_PACKAGES=()
CARGO_PACKAGE=cargo
KERNEL_RUSTC_PACKAGE=rust
LIBC_PACKAGE=glibc-devel-static
RPMBUILD_PACKAGE=rpm-build
MAKEPKG_PACKAGES=()
METADATA_SOURCE=

install_command() { as_root zypper install "$@"; }
reinstall_command() { install_command --force "$@"; }
RUST_INSTEAD="$(install_command rustup) && rustup toolchain install stable --component rust-src && rustup default stable"

# The flavour of a kernel is at the end of its release: 6.4.0-150600.23-default.
headers_package() { echo "kernel-${1##*-}-devel"; }
cross_gcc_package() { echo "gcc-${1//_/-}"; }
tool_package() { echo "$1"; }
rust_library_of() { :; }
metadata_command() { :; }
newest_kernel() { :; }
