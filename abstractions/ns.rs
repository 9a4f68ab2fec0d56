// SPDX-License-Identifier: GPL-2.0

//! Namespaces: the network namespace whose sockets are shown, and the user
//! namespace of who reads.
//!
//! C headers: `include/net/net_namespace.h`, `include/linux/user_namespace.h`

use crate::bindings;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A borrowed `struct net`.
///
/// # Invariants
///
/// `ptr` points to a network namespace that is not freed during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a> {
    ptr: NonNull<bindings::net>,
    _lifetime: PhantomData<&'a ()>,
}

impl Net<'_> {
    /// Borrows a network namespace.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a `struct net` that is not freed during the lifetime
    /// that the caller gives the value.
    pub(crate) unsafe fn from_raw(ptr: NonNull<bindings::net>) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            ptr,
            _lifetime: PhantomData,
        }
    }

    /// The C object.
    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.ptr.as_ptr()
    }

    /// Whether the calling task has CAP_NET_ADMIN over the namespace. A "no" is not audited, as
    /// nothing is refused: see `ns_capable_noaudit()`.
    pub(crate) fn is_admin(&self) -> bool {
        // SAFETY: By the type invariant, the namespace is alive, and with it its user namespace.
        // The check is of `current`, so it may be made by any task.
        unsafe { bindings::knetstat_is_net_admin(self.ptr.as_ptr()) }
    }
}

/// An owned reference to a `struct net`: keeps the namespace alive, as an open
/// `/proc/net/tcp` does.
///
/// # Invariants
///
/// `ptr` points to a `struct net` on which this value owns a reference.
pub(crate) struct NetRef {
    ptr: NonNull<bindings::net>,
}

// SAFETY: The reference is counted, not tied to a task: `put_net()` may be called by any.
unsafe impl Send for NetRef {}

impl NetRef {
    /// Takes a reference, or `None` if the namespace is already ending. Follows
    /// `get_proc_net()`.
    pub(crate) fn try_get(net: Net<'_>) -> Option<Self> {
        // SAFETY: `maybe_get_net()` wants a namespace whose memory is there, if its references may
        // be gone. By the type invariant of `Net`, it is not freed before this function returns.
        let ptr = unsafe { bindings::knetstat_maybe_get_net(net.as_ptr()) };
        // INVARIANT: `maybe_get_net()` returns NULL unless it took a reference.
        NonNull::new(ptr).map(|ptr| Self { ptr })
    }

    /// Borrows the namespace.
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: By the type invariant, the reference that `self` owns keeps the namespace alive
        // for the lifetime of the borrow.
        unsafe { Net::from_raw(self.ptr) }
    }
}

impl Drop for NetRef {
    fn drop(&mut self) {
        if cfg!(knetstat_fault = "leak-namespace") {
            return;
        }
        // SAFETY: By the type invariant, this value owns a reference, which is given back here and
        // not used after this.
        unsafe { bindings::knetstat_put_net(self.ptr.as_ptr()) };
    }
}

/// The user namespace in whose terms user ids are reported: that of the process which opened the
/// file, as `seq_user_ns()` has it.
///
/// # Invariants
///
/// `ptr` points to a `struct user_namespace` that is not freed during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct UserNs<'a> {
    ptr: *mut bindings::user_namespace,
    _lifetime: PhantomData<&'a ()>,
}

impl UserNs<'_> {
    /// Borrows a user namespace.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a `struct user_namespace` that is not freed during the
    /// lifetime that the caller gives the value.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::user_namespace) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            ptr,
            _lifetime: PhantomData,
        }
    }

    /// The C object.
    pub(crate) fn as_ptr(&self) -> *mut bindings::user_namespace {
        self.ptr
    }
}

/// Who reads, as the file was opened: what they may see, and in whose terms.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The network namespace whose sockets are shown.
    pub(crate) net: Net<'a>,
    /// The user namespace in whose terms user ids are reported.
    pub(crate) user_ns: UserNs<'a>,
    /// Whether the one who opened the file had CAP_NET_ADMIN over the network namespace,
    /// without which `sock_diag` hides SO_MARK.
    pub(crate) is_net_admin: bool,
}
