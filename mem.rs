// SPDX-License-Identifier: GPL-2.0

//! Memory for C objects and for what grows with the number of sockets.
//!
//! C header: `include/linux/slab.h`

use crate::bindings;
use core::ops::Deref;
use core::ops::DerefMut;
use core::ptr::NonNull;
use kernel::error::code::ENOMEM;
use kernel::error::Result;

/// Types of which all bytes zero is a valid value.
///
/// # Safety
///
/// It is.
pub(crate) unsafe trait Zeroable {}

// SAFETY: It is 0.
unsafe impl Zeroable for usize {}
// SAFETY: A C structure of numbers and of pointers that may be NULL.
unsafe impl Zeroable for bindings::pernet_operations {}

/// An array whose elements are zero at first, from `kvzalloc()`, charged to the
/// control group of the allocating process. Does not move.
///
/// # Invariants
///
/// `ptr` is dangling and `len` is 0, or `ptr` comes from `kvzalloc()` and the array owns
/// `len` initialised elements behind it.
pub(crate) struct Array<T> {
    ptr: NonNull<T>,
    len: usize,
}

// SAFETY: The array owns its elements.
unsafe impl<T: Send> Send for Array<T> {}

impl<T> Array<T> {
    /// An array without elements and without memory.
    pub(crate) const fn empty() -> Self {
        // INVARIANT: Dangling, and `len` is 0.
        Self {
            ptr: NonNull::dangling(),
            len: 0,
        }
    }

    /// The first element, which need not exist.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }
}

impl<T: Zeroable> Array<T> {
    /// Allocates `len` elements. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn zeroed(len: usize) -> Result<Self> {
        // `kvzalloc()` aligns to this at least.
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        let size = len.checked_mul(size_of::<T>()).ok_or(ENOMEM)?;
        // SAFETY: `kvzalloc()` may be called with any size where sleeping is allowed; the callers
        // hold no lock.
        let ptr = unsafe { bindings::knetstat_kvzalloc(size) };
        // INVARIANT: `kvzalloc()` gave `size` zero bytes, which make `len` valid elements.
        let ptr = NonNull::new(ptr.cast()).ok_or(ENOMEM)?;
        Ok(Self { ptr, len })
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: By the type invariant, there are `len` initialised elements behind `ptr`, which is
        // aligned and not null.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: As for `deref`; the exclusive borrow of `self` makes this one exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        const { assert!(!core::mem::needs_drop::<T>()) };
        if self.len > 0 {
            // SAFETY: By the type invariant, the pointer comes from `kvzalloc()` and is ours.
            unsafe { bindings::kvfree(self.ptr.as_ptr().cast()) };
        }
    }
}
