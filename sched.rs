// SPDX-License-Identifier: GPL-2.0

//! Giving way to other tasks.
//!
//! C header: `include/linux/sched.h`

use crate::bindings;

/// Lets other tasks run, where the kernel does not preempt this one by itself.
///
/// Not to be called under a lock, as it may sleep.
pub(crate) fn cond_resched() {
    // SAFETY: `cond_resched()` has no precondition but the one above, whose breach
    // CONFIG_DEBUG_ATOMIC_SLEEP reports.
    unsafe { bindings::knetstat_cond_resched() };
}

/// Sleeps: what must not be done under a lock, for the test that shows that the debug
/// guest sees it.
#[cfg(knetstat_fault = "sleep")]
pub(crate) fn sleep() {
    // SAFETY: As for `cond_resched`.
    unsafe { bindings::knetstat_test_sleep() };
}
