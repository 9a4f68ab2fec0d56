// SPDX-License-Identifier: GPL-2.0

//! A lock whose waiters sleep.
//!
//! C header: `include/linux/mutex.h`
//!
//! What this does not do: separate lockdep classes. All mutexes here share one class.

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

/// A value that one task at a time may use. It is in an allocation of its own, because a `struct
/// mutex` must not move.
///
/// # Invariants
///
/// `raw` was initialised by `mutex_init()`.
pub(crate) struct Mutex<T> {
    raw: UnsafeCell<bindings::mutex>,
    data: UnsafeCell<T>,
}

// SAFETY: A `struct mutex` belongs to no task while it is not locked. A guard borrows the value,
// and no guard exists while the whole value is sent. The data is `Send` by itself.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: The mutex gives the data to one task at a time. This has the effect of sending the data
// from one task to the next, and the data is `Send`.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// Allocates a mutex and calls `mutex_init()`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn new(data: T) -> Result<Owned<Self>> {
        let mutex = Owned::new(MaybeUninit::new(Self {
            // SAFETY: `struct mutex` consists of numbers and pointers. All bytes zero are therefore
            // a valid value of the generated type. `mutex_init()` below gives it its meaning.
            raw: UnsafeCell::new(unsafe { MaybeUninit::zeroed().assume_init() }),
            data: UnsafeCell::new(data),
        }))?;
        let ptr = mutex.into_raw().cast::<Self>();
        // SAFETY: `ptr` points to a `Self` whose fields are all initialised, as far as Rust is
        // concerned.
        let raw = unsafe { ptr.as_ref() }.raw.get();
        // SAFETY: `raw` points to a `struct mutex` that no other code uses yet. It does not move
        // out of its allocation.
        unsafe { bindings::knetstat_mutex_init(raw) };
        // INVARIANT: `mutex_init()` has just initialised `raw`.
        // SAFETY: `into_raw()` gave up the pointer above, and no other code uses it. It points to
        // an initialised `Self`, because `MaybeUninit` does not change the layout.
        Ok(unsafe { Owned::from_raw(ptr) })
    }

    /// Locks the mutex. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the task is killed while it waits.
    pub(crate) fn lock_killable(&self) -> Result<Guard<'_, T>> {
        // SAFETY: By the type invariant, `raw` is initialised. Sleeping is allowed, because the
        // callers hold no spinlock. No task locks a second mutex.
        to_result(unsafe { bindings::knetstat_mutex_lock_killable(self.raw.get()) })?;
        // INVARIANT: This task has just locked the mutex.
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
        // SAFETY: By the type invariant, the mutex is held, and no other guard refers to the data.
        // The borrow of this guard keeps it from handing out an exclusive reference at the same
        // time.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant, the mutex is held, and no other guard refers to the data.
        // The exclusive borrow of this guard makes the reference the only one.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the task that made the guard holds the mutex. The same
        // task drops the guard, because it is not `Send`.
        unsafe { bindings::knetstat_mutex_unlock(self.mutex.raw.get()) };
    }
}
