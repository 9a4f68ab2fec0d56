// SPDX-License-Identifier: GPL-2.0

//! Giving way to other tasks, and to signals that kill this one.
//!
//! C headers: `include/linux/sched.h`, `include/linux/sched/signal.h`

use crate::bindings;
use kernel::error::code::EINTR;
use kernel::error::Result;

/// Lets other tasks run, if the kernel does not preempt this one by itself.
///
/// Not to be called under a spinlock, as it may sleep.
///
/// # Errors
///
/// `EINTR` if this task is being killed: `fatal_signal_pending()`.
pub(crate) fn cond_resched_killable() -> Result {
    // SAFETY: `cond_resched()` wants a context that may sleep. The callers hold no spinlock, which
    // CONFIG_DEBUG_ATOMIC_SLEEP checks in the debug guest.
    unsafe { bindings::knetstat_cond_resched() };
    // SAFETY: `fatal_signal_pending()` looks at `current`, so it may be called by any task at any
    // time.
    if !cfg!(knetstat_fault = "deaf") && unsafe { bindings::knetstat_fatal_signal_pending() } {
        return Err(EINTR);
    }
    Ok(())
}

/// Sleeps: what must not be done under a spinlock, for the test that shows that the debug guest
/// sees it; and between two, to widen the time in which others can come between.
#[cfg(any(knetstat_fault = "sleep", knetstat_fault = "slow-look"))]
pub(crate) fn sleep() {
    // SAFETY: `msleep()` wants a context that may sleep. With the fault "sleep" there is none: that
    // is the fault. Otherwise the walk calls this with no lock held.
    unsafe { bindings::knetstat_test_sleep() };
}

/// Keeps the CPU busy for a while, which may be done under a spinlock: to widen the time in which
/// another CPU can come between.
#[cfg(knetstat_fault = "slow-look")]
pub(crate) fn delay() {
    // SAFETY: `mdelay()` may be called in any context.
    unsafe { bindings::knetstat_test_delay() };
}
