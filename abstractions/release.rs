// SPDX-License-Identifier: GPL-2.0

//! The release of the kernel.
//!
//! C headers: `include/generated/utsrelease.h`, `include/linux/utsname.h`

use crate::bindings;
use kernel::error::{
    to_result,
    Result, //
};

/// Checks that the module was built for the kernel that runs.
///
/// # Errors
///
/// `ENOEXEC` if it was built for another release. The log names both.
pub(crate) fn check() -> Result {
    // SAFETY: The helper compares two strings that do not change, and may be called in any context.
    to_result(unsafe { bindings::knetstat_check_release() })
}
