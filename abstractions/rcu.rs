// SPDX-License-Identifier: GPL-2.0

//! Read sections of RCU.
//!
//! C header: `include/linux/rcupdate.h`

use crate::bindings;
use core::marker::PhantomData;

/// A read section of RCU. While the guard lives, objects that RCU protects are not freed.
///
/// Not `Send`: the task that began a section must end it. Nothing that sleeps may be called while
/// the guard lives.
pub(crate) struct Guard {
    _not_send: PhantomData<*mut ()>,
}

impl Guard {
    /// Begins a read section: `rcu_read_lock()`.
    pub(crate) fn new() -> Self {
        // SAFETY: `rcu_read_lock()` may be called in any context, and it nests. `drop` ends the
        // section in the same task, because the guard is not `Send`.
        unsafe { bindings::knetstat_rcu_read_lock() };
        Self {
            _not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: `rcu_read_unlock()` requires a read section of the calling task. `new` began one,
        // in the same task, because the guard is not `Send`.
        unsafe { bindings::knetstat_rcu_read_unlock() };
    }
}
