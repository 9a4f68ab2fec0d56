// SPDX-License-Identifier: GPL-2.0

//! A lock that sleeps.
//!
//! C header: `include/linux/mutex.h`
//!
//! What this does not do: locking classes of one's own for lockdep; all mutexes here are of one.

use crate::abstractions::mem::Owned;
use crate::bindings;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::error::{
    to_result,
    Result, //
};

/// A value that one task at a time may use, in an allocation of its own, as a `struct mutex`
/// does not move.
///
/// # Invariants
///
/// `raw` was initialised by `mutex_init()`.
pub(crate) struct Mutex<T> {
    raw: UnsafeCell<bindings::mutex>,
    data: UnsafeCell<T>,
}

// SAFETY: A `struct mutex` belongs to no task while it is not locked, and who owns the whole value
// holds no guard; the data is `Send` by itself.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: The mutex gives the data to one task at a time, which is as if it was sent from one to
// the next.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// `mutex_init()`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn new(data: T) -> Result<Owned<Self>> {
        let mutex = Owned::new(MaybeUninit::new(Self {
            // SAFETY: `struct mutex` consists of numbers and pointers, for which all bytes zero are
            // valid values of the generated type. Its meaning comes from `mutex_init()` below.
            raw: UnsafeCell::new(unsafe { MaybeUninit::zeroed().assume_init() }),
            data: UnsafeCell::new(data),
        }))?;
        let ptr = mutex.into_raw().cast::<Self>();
        // SAFETY: `ptr` is to a `Self` of which all fields are initialised, as Rust sees it.
        let raw = unsafe { ptr.as_ref() }.raw.get();
        // SAFETY: `raw` points to a `struct mutex` which nobody uses yet, and which does not move
        // from its allocation.
        unsafe { bindings::knetstat_mutex_init(raw) };
        // INVARIANT: `mutex_init()` initialised it.
        // SAFETY: `into_raw()` gave the pointer away above, to an initialised `Self` as
        // `MaybeUninit` does not change the layout.
        Ok(unsafe { Owned::from_raw(ptr) })
    }

    /// Locks the mutex. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the task is killed while it waits.
    pub(crate) fn lock_killable(&self) -> Result<Guard<'_, T>> {
        // SAFETY: By the type invariant, `raw` is initialised. Sleeping is allowed, as this is
        // called by tasks that hold no spinlock, and no task locks a second mutex.
        to_result(unsafe { bindings::knetstat_mutex_lock_killable(self.raw.get()) })?;
        // INVARIANT: It was just locked.
        Ok(Guard {
            mutex: self,
            _not_send: PhantomData,
        })
    }
}

/// A locked mutex.
///
/// # Invariants
///
/// The task that made the guard holds `mutex`.
pub(crate) struct Guard<'m, T> {
    mutex: &'m Mutex<T>,
    _not_send: PhantomData<*mut ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant, the mutex is held, so no other guard refers to the data;
        // the borrow of this guard keeps it from handing out an exclusive reference meanwhile.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant, the mutex is held, so no other guard refers to the data;
        // the exclusive borrow of this guard makes the reference the only one.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the mutex is held by the task that made the guard. It is
        // that task which drops it, as a guard is not `Send`.
        unsafe { bindings::knetstat_mutex_unlock(self.mutex.raw.get()) };
    }
}
