// SPDX-License-Identifier: GPL-2.0

//! The release of the kernel, and the layout of its structures.
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
/// `ENOEXEC` if it was built for another release, or for a kernel of this release with another
/// configuration, as far as the kernel tells. The log says what differs.
pub(crate) fn check() -> Result {
    // SAFETY: The helper compares two strings that do not change, and may be called in any context.
    to_result(unsafe { bindings::knetstat_check_release() })?;
    // SAFETY: The helper reads `tcp_prot`, `udp_prot` and `init_net`, which exist as long as the kernel,
    // at fields that do not change. It may be called in any context.
    to_result(unsafe { bindings::knetstat_check_layout() })
}
