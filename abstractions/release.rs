// SPDX-License-Identifier: GPL-2.0

//! The release of the kernel, and the sizes of its sockets.
//!
//! C headers: `include/generated/utsrelease.h`, `include/linux/utsname.h`, `include/net/sock.h`

use crate::bindings;
use kernel::error::{
    to_result,
    Result, //
};

/// Checks that the module was built for the kernel that runs.
///
/// # Errors
///
/// `ENOEXEC` if it was built for another release, or for a kernel of this release with sockets of
/// another size. The log says what differs.
pub(crate) fn check() -> Result {
    // SAFETY: The helper compares two strings that do not change, and may be called in any context.
    to_result(unsafe { bindings::knetstat_check_release() })?;
    // SAFETY: The helper compares numbers that do not change: those of `tcp_prot` and `udp_prot` are
    // initialised with them. It may be called in any context.
    to_result(unsafe { bindings::knetstat_check_sizes() })
}
