// SPDX-License-Identifier: GPL-2.0

//! Memory: values that do not move, and arrays that grow with the number of sockets.
//!
//! C header: `include/linux/slab.h`
//!
//! All of it comes from `kvzalloc()`, charged to the control group of the allocating process.

use crate::bindings;
use core::mem::ManuallyDrop;
use core::ops::{
    Deref,
    DerefMut, //
};
use core::ptr::NonNull;
use kernel::error::code::ENOMEM;
use kernel::error::Result;

/// Whether an allocation has to succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A control group that has no memory left may have to kill a process.
    Required,
    /// There is another way: the allocation fails rather than that a process is killed.
    Optional,
}

/// Allocates `size` bytes, all zero. May sleep.
///
/// # Errors
///
/// `ENOMEM`
fn allocate<T>(size: usize, need: Need) -> Result<NonNull<T>> {
    // `kmalloc()` aligns to this at least: `ARCH_KMALLOC_MINALIGN`.
    const { assert!(align_of::<T>() <= align_of::<u64>()) };
    // SAFETY: `kvzalloc()` may be called with any size in a context that may sleep. This module
    // allocates in open(2), in read(2) and while it is loaded, with no spinlock held.
    let ptr = unsafe { bindings::knetstat_kvzalloc(size, need == Need::Optional) };
    NonNull::new(ptr.cast()).ok_or(ENOMEM)
}

/// A value in an allocation of its own, which does not move.
///
/// # Invariants
///
/// `ptr` comes from `kvzalloc()`, and this value owns it and the initialised `T` behind it.
pub(crate) struct Owned<T> {
    ptr: NonNull<T>,
}

impl<T> Owned<T> {
    /// Allocates and moves `value` there. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn new(value: T) -> Result<Self> {
        const { assert!(size_of::<T>() > 0) };
        let ptr = allocate::<T>(size_of::<T>(), Need::Required)?;
        // SAFETY: `ptr` is to `size_of::<T>()` bytes, aligned for `T`, which nobody else knows of.
        unsafe { ptr.write(value) };
        // INVARIANT: It was just allocated and initialised.
        Ok(Self { ptr })
    }

    /// Where the value is.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// Gives the value away.
    pub(crate) fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).ptr
    }

    /// Takes back what [`Owned::into_raw`] gave away.
    ///
    /// # Safety
    ///
    /// `ptr` must come from [`Owned::into_raw`] of an `Owned<T>`, or of one of a type with the same
    /// layout behind which a valid `T` is by now, and must not be used by others any more.
    pub(crate) unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // INVARIANT: The caller promises it.
        Self { ptr }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, there is an initialised `T`, which is ours and not used
        // after this.
        unsafe { self.ptr.drop_in_place() };
        // SAFETY: By the type invariant, the pointer comes from `kvzalloc()` and is ours to free.
        unsafe { bindings::kvfree(self.ptr.as_ptr().cast()) };
    }
}

/// An array that does not grow and whose elements do not move.
///
/// # Invariants
///
/// `ptr` is dangling and `len` is 0, or `ptr` comes from `kvzalloc()` and the array owns
/// `len` initialised elements behind it.
pub(crate) struct Array<T> {
    ptr: NonNull<T>,
    len: usize,
}

// SAFETY: The array owns its elements, which may be sent, and `kvfree()` may be called by any task.
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
}

/// A type for which all bytes zero are a valid value.
///
/// # Safety
///
/// They must be one.
pub(crate) unsafe trait Zeroable {}

// SAFETY: An integer whose bytes are all zero is the number 0.
unsafe impl Zeroable for u8 {}
// SAFETY: An integer whose bytes are all zero is the number 0.
unsafe impl Zeroable for usize {}

impl<T: Zeroable> Array<T> {
    /// Allocates `len` elements, all of them zero. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn zeroed(len: usize, need: Need) -> Result<Self> {
        let size = len.checked_mul(size_of::<T>()).ok_or(ENOMEM)?;
        if size == 0 {
            return Ok(Self::empty());
        }
        let ptr = allocate(size, need)?;
        // INVARIANT: It was just allocated for `len` elements, and all bytes zero are valid ones.
        Ok(Self { ptr, len })
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: By the type invariant, there are `len` initialised elements behind `ptr`, which
        // is aligned and not null. The borrow of `self` keeps them from being changed or freed.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: By the type invariant, there are `len` initialised elements behind `ptr`, which
        // is aligned and not null. The exclusive borrow of `self` makes this one exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        if cfg!(knetstat_fault = "leak-memory") {
            return;
        }
        const { assert!(!core::mem::needs_drop::<T>()) };
        if self.len > 0 {
            // SAFETY: By the type invariant, the pointer comes from `kvzalloc()` and is ours to
            // free.
            unsafe { bindings::kvfree(self.ptr.as_ptr().cast()) };
        }
    }
}
