// SPDX-License-Identifier: GPL-2.0

//! A stand-in for the module's `mem.rs` on the host: the same arrays, from the host's allocator.

use kernel::error::code::ENOMEM;
use kernel::error::Result;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FAILS: Cell<bool> = const { Cell::new(false) };
    static IS_LOCKED: Cell<bool> = const { Cell::new(false) };
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Says whether this thread holds a spinlock from now on. Nothing may be allocated under a
/// spinlock.
pub(crate) fn set_locked(is_locked: bool) {
    IS_LOCKED.set(is_locked);
}

/// Says whether this thread has the guard of a table from now on. Others wait for it, so nothing may
/// be allocated meanwhile, either.
pub(crate) fn set_guarded(is_guarded: bool) {
    IS_GUARDED.set(is_guarded);
}

/// Says whether allocations of this thread fail from now on.
pub(crate) fn fail(fails: bool) {
    FAILS.set(fails);
}

/// Checks that this thread holds no spinlock.
pub(crate) fn assert_may_sleep() {
    assert!(!IS_LOCKED.get(), "under a lock");
}

pub(crate) enum Need {
    Required,
}

pub(crate) struct Array<T>(Vec<T>);

impl<T> Array<T> {
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default + Clone> Array<T> {
    pub(crate) fn zeroed(len: usize, _: Need) -> Result<Self> {
        assert_may_sleep();
        assert!(!IS_GUARDED.get(), "with a guard");
        if FAILS.get() {
            return Err(ENOMEM);
        }
        Ok(Self(vec![T::default(); len]))
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
