// SPDX-License-Identifier: GPL-2.0

//! Memory: values that do not move, and arrays whose size depends on the number of sockets.
//!
//! C header: `include/linux/slab.h`
//!
//! All memory comes from `kvzalloc()`, and is charged to the control group of the allocating
//! process.

use crate::bindings;
use core::mem::ManuallyDrop;
use core::ops::{
    Deref,
    DerefMut, //
};
use core::ptr::NonNull;
use kernel::error::code::ENOMEM;
use kernel::error::Result;

/// The need for an allocation to succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The allocation must succeed. If a control group has no memory left, the kernel may kill a
    /// process.
    Required,
    /// The caller can do without the memory. The kernel lets the allocation fail, and kills no
    /// process.
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
/// `ptr` comes from `kvzalloc()`. This value owns the allocation, and the initialised `T` in it.
pub(crate) struct Owned<T> {
    ptr: NonNull<T>,
}

impl<T> Owned<T> {
    /// Allocates memory and moves `value` there. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`
    pub(crate) fn new(value: T) -> Result<Self> {
        const { assert!(size_of::<T>() > 0) };
        let ptr = allocate::<T>(size_of::<T>(), Need::Required)?;
        // SAFETY: `ptr` points to `size_of::<T>()` bytes that are aligned for `T`. No other code
        // has a pointer to them.
        unsafe { ptr.write(value) };
        // INVARIANT: `ptr` was just allocated by `kvzalloc()` and initialised.
        Ok(Self { ptr })
    }

    /// The address of the value.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// Gives up the ownership of the value, without dropping it.
    pub(crate) fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).ptr
    }

    /// Takes back the ownership that [`Owned::into_raw`] gave up.
    ///
    /// # Safety
    ///
    /// - `ptr` must come from [`Owned::into_raw`] of an `Owned<T>`, or of an `Owned` of a type with
    ///   the same layout.
    /// - By now, there must be a valid `T` behind `ptr`.
    /// - No other code may use `ptr` any more.
    pub(crate) unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // INVARIANT: By the caller's promise, `ptr` comes from an `Owned`, hence from `kvzalloc()`.
        // There is a valid `T` behind it, which this value owns from now on.
        Self { ptr }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, `ptr` points to an initialised `T` that this value owns.
        // The `T` is not used after this.
        unsafe { self.ptr.drop_in_place() };
        // SAFETY: By the type invariant, `ptr` comes from `kvzalloc()`, and this value owns the
        // allocation.
        unsafe { bindings::kvfree(self.ptr.as_ptr().cast()) };
    }
}

/// An array that does not grow and whose elements do not move.
///
/// # Invariants
///
/// `ptr` is dangling and `len` is 0, or `ptr` comes from `kvzalloc()` and the array owns `len`
/// initialised elements behind it.
pub(crate) struct Array<T> {
    ptr: NonNull<T>,
    len: usize,
}

// SAFETY: The array owns its elements, which may be sent. Any task may call `kvfree()`.
unsafe impl<T: Send> Send for Array<T> {}

impl<T> Array<T> {
    /// An array without elements and without memory.
    pub(crate) const fn empty() -> Self {
        // INVARIANT: `ptr` is dangling, and `len` is 0.
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
/// All bytes zero must be a valid value of the type.
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
        // INVARIANT: `ptr` was just allocated by `kvzalloc()` for `len` elements. All their bytes
        // are zero, which is a valid value by the contract of [`Zeroable`].
        Ok(Self { ptr, len })
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: By the type invariant, there are `len` initialised elements behind `ptr`, which
        // is aligned and not null. The borrow of `self` keeps the elements from being changed or
        // freed.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: By the type invariant, there are `len` initialised elements behind `ptr`, which
        // is aligned and not null. The exclusive borrow of `self` makes the slice exclusive.
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
            // SAFETY: By the type invariant, `ptr` comes from `kvzalloc()`, and the array owns the
            // allocation.
            unsafe { bindings::kvfree(self.ptr.as_ptr().cast()) };
        }
    }
}
