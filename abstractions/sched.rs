// SPDX-License-Identifier: GPL-2.0

//! Lets other tasks run, and notices signals that kill this one.
//!
//! C headers: `include/linux/sched.h`, `include/linux/sched/signal.h`

use crate::bindings;
use kernel::error::code::EINTR;
use kernel::error::Result;

/// Lets other tasks run, if the kernel does not preempt this one by itself.
///
/// Must not be called under a spinlock, because it may sleep.
///
/// # Errors
///
/// `EINTR` if this task is being killed: `fatal_signal_pending()`.
pub(crate) fn cond_resched_killable() -> Result {
    // SAFETY: `cond_resched()` requires a context that may sleep. The callers hold no spinlock.
    // CONFIG_DEBUG_ATOMIC_SLEEP checks this in the debug guest.
    unsafe { bindings::knetstat_cond_resched() };
    // SAFETY: `fatal_signal_pending()` looks at `current`, and any task may call it at any time.
    if !cfg!(knetstat_fault = "deaf") && unsafe { bindings::knetstat_fatal_signal_pending() } {
        return Err(EINTR);
    }
    Ok(())
}

/// Sleeps. With the fault "sleep", a spinlock is held, and a test shows that the debug guest
/// notices. With the fault "slow-look", no lock is held, and others get more time to interfere.
#[cfg(any(knetstat_fault = "sleep", knetstat_fault = "slow-look"))]
pub(crate) fn sleep() {
    // SAFETY: `msleep()` requires a context that may sleep. With the fault "sleep", there is none:
    // that is the fault. Otherwise, the walk calls this with no lock held.
    unsafe { bindings::knetstat_test_sleep() };
}

/// Keeps the CPU busy for a while, which is allowed under a spinlock. Other CPUs get more time to
/// interfere.
#[cfg(knetstat_fault = "slow-look")]
pub(crate) fn delay() {
    // SAFETY: `mdelay()` may be called in any context.
    unsafe { bindings::knetstat_test_delay() };
}
