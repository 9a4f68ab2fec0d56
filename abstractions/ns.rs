// SPDX-License-Identifier: GPL-2.0

//! Namespaces: the network namespace whose sockets are shown, and the user namespace of the reader.
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
    /// `ptr` must point to a `struct net` that is not freed during the lifetime that the caller
    /// gives the value.
    pub(crate) unsafe fn from_raw(ptr: NonNull<bindings::net>) -> Self {
        // INVARIANT: The caller promises that the namespace is not freed during the lifetime.
        Self {
            ptr,
            _lifetime: PhantomData,
        }
    }

    /// The C object.
    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.ptr.as_ptr()
    }

    /// Whether the calling task has CAP_NET_ADMIN over the namespace. A negative answer is not
    /// audited, because nothing is refused: see `ns_capable_noaudit()`.
    pub(crate) fn has_net_admin(&self) -> bool {
        // SAFETY: By the type invariant, the namespace is alive, and with it its user namespace.
        // Any task may make the check, which is about `current`.
        unsafe { bindings::knetstat_is_net_admin(self.ptr.as_ptr()) }
    }
}

/// An owned reference to a `struct net`. It keeps the namespace alive, as an open `/proc/net/tcp`
/// does.
///
/// # Invariants
///
/// `ptr` points to a `struct net`, and this value owns a reference to it.
pub(crate) struct NetRef {
    ptr: NonNull<bindings::net>,
}

// SAFETY: The reference is counted and not tied to a task: any task may call `put_net()`.
unsafe impl Send for NetRef {}

impl NetRef {
    /// Takes a reference. `None` if the namespace is already ending. Follows `get_proc_net()`.
    pub(crate) fn try_get(net: Net<'_>) -> Option<Self> {
        // SAFETY: `maybe_get_net()` requires that the memory of the namespace is there, even if its
        // references are gone. By the type invariant of `Net`, the namespace is not freed before
        // this function returns.
        let ptr = unsafe { bindings::knetstat_maybe_get_net(net.as_ptr()) };
        // INVARIANT: `maybe_get_net()` returns NULL unless it has taken a reference, which this
        // value owns.
        NonNull::new(ptr).map(|ptr| Self { ptr })
    }

    /// Borrows the namespace.
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: By the type invariant, `self` owns a reference. It keeps the namespace alive for
        // the lifetime of the borrow.
        unsafe { Net::from_raw(self.ptr) }
    }
}

impl Drop for NetRef {
    fn drop(&mut self) {
        if cfg!(knetstat_fault = "leak-namespace") {
            return;
        }
        // SAFETY: By the type invariant, this value owns a reference. The reference is given back
        // here and not used after this.
        unsafe { bindings::knetstat_put_net(self.ptr.as_ptr()) };
    }
}

/// The user namespace into which user ids are translated. It is that of the process that opened the
/// file, as in `seq_user_ns()`.
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
    /// `ptr` must point to a `struct user_namespace` that is not freed during the lifetime that the
    /// caller gives the value.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::user_namespace) -> Self {
        // INVARIANT: The caller promises that the namespace is not freed during the lifetime.
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

/// The reader of a file: its namespaces, and its rights when the file was opened.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The network namespace whose sockets are shown.
    pub(crate) net: Net<'a>,
    /// The user namespace into which user ids are translated.
    pub(crate) user_ns: UserNs<'a>,
    /// Whether the process that opened the file had CAP_NET_ADMIN over the network namespace.
    /// Without it, the options that `sock_diag` would hide from the reader are not shown, such as
    /// SO_MARK.
    pub(crate) is_net_admin: bool,
}
