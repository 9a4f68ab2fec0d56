// SPDX-License-Identifier: GPL-2.0

//! Read sections of RCU.
//!
//! C header: `include/linux/rcupdate.h`

use crate::bindings;
use core::marker::PhantomData;

/// While it lives, what RCU protects is not freed. Not `Send`: a section ends in the task
/// that began it. Nothing that sleeps may be called meanwhile.
pub(crate) struct Guard {
    _not_send: PhantomData<*mut ()>,
}

impl Guard {
    /// `rcu_read_lock()`
    pub(crate) fn new() -> Self {
        // SAFETY: `rcu_read_lock()` may be called in any context and nests. `drop` ends the
        // section, in the same task, as the guard is not `Send`.
        unsafe { bindings::knetstat_rcu_read_lock() };
        Self {
            _not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: `rcu_read_unlock()` wants a section of the calling task, which `new` began.
        unsafe { bindings::knetstat_rcu_read_unlock() };
    }
}
