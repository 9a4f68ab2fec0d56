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
        // SAFETY: May be called anywhere; `drop` ends the section.
        unsafe { bindings::knetstat_rcu_read_lock() };
        Self {
            _not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: `new` began the section.
        unsafe { bindings::knetstat_rcu_read_unlock() };
    }
}
