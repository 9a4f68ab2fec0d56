# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# A distribution; scripts/lib.sh says what each fact is for. Others are made from this one, such as
# Linux Mint.

# shellcheck source=scripts/distributions/debian.sh
. "$scripts/distributions/debian.sh"

case $(os_release UBUNTU_CODENAME) in
# The rustc of these releases is too old. They have newer ones, whose names contain the version.
jammy | noble)
	RUST_PACKAGES=("rustc-$oldest_rustc" "rust-$oldest_rustc-src")
	CARGO_PACKAGE=cargo-$oldest_rustc
	;;
esac
METADATA_SOURCE=

metadata_command() { install_command "linux-lib-rust-$1"; }
newest_kernel() { :; }
