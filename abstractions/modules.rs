// SPDX-License-Identifier: GPL-2.0

//! Keeps the text of other modules in memory while a task owns references to sockets.
//!
//! C headers: `include/linux/module.h`, `include/linux/notifier.h`, `include/linux/rwsem.h`
//!
//! `sk_destruct` of a socket may be a function of a module, such as l2tp or tls. The socket keeps
//! no reference to that module, which may be unloaded as soon as its sockets are closed. A task
//! that owns a reference to a socket must therefore drop it before the text of any module is freed.
//! `delete_module(2)` calls the module notifiers after the module's own exit function. Our notifier
//! waits until no [`Guard`] lives. It then calls `rcu_barrier()`, which waits for what the last
//! references left to RCU.
//!
//! What this does not do:
//!
//! - It does not keep what the exit function of a module destroys.
//! - It does not wait for a destructor that the kernel left to a work queue. The kernel does this
//!   while a process listens for the end of sockets (`sock_diag_broadcast_destroy()`).
//!
//! Both cases need a destructor in a module. The walk takes no reference to a UDP socket that can
//! have one, for encapsulation. Among TCP sockets, only those with kernel TLS on a network card
//! have one, and the driver of the card keeps that module.

use crate::bindings;
use core::marker::PhantomData;
use core::sync::atomic::{
    AtomicBool,
    Ordering, //
};
use kernel::error::code::EEXIST;
use kernel::error::{
    to_result,
    Result, //
};

/// A guard that keeps the text of all modules in memory while it lives.
///
/// Not `Send`: the task that took a semaphore must release it.
///
/// # Invariants
///
/// The task that made the guard holds the semaphore of `bindings/helpers.c` for reading.
pub(crate) struct Guard {
    _not_send: PhantomData<*mut ()>,
}

impl Guard {
    /// Makes the unloading of modules wait. May sleep: a module that is already being unloaded goes
    /// first.
    ///
    /// # Errors
    ///
    /// `EINTR` if the task is killed while it waits.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: `down_read_killable()` requires a context that may sleep. The callers hold the
        // mutex of an open file and no spinlock. None of them holds the semaphore already, or
        // anything that the notifier waits for before it takes the semaphore.
        to_result(unsafe { bindings::knetstat_hold_modules() })?;
        // INVARIANT: This task has just taken the semaphore for reading.
        Ok(Self {
            _not_send: PhantomData,
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the task that made the guard holds the semaphore for
        // reading. The same task drops the guard, because it is not `Send`.
        unsafe { bindings::knetstat_release_modules() };
    }
}

/// Whether a [`Notifier`] exists.
static IS_REGISTERED: AtomicBool = AtomicBool::new(false);

/// The registration of the module notifier, while this value lives.
///
/// # Invariants
///
/// The notifier of `bindings/helpers.c` is registered.
pub(crate) struct Notifier {
    _private: (),
}

impl Notifier {
    /// Registers the notifier. May sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST` if it is registered already.
    /// - The errors of `register_module_notifier()`.
    pub(crate) fn new() -> Result<Self> {
        if IS_REGISTERED.swap(true, Ordering::Acquire) {
            return Err(EEXIST);
        }
        // SAFETY: The helper may be called once before `knetstat_unwatch_modules()`. The flag shows
        // that no other call has registered the notifier since.
        if let Err(error) = to_result(unsafe { bindings::knetstat_watch_modules() }) {
            IS_REGISTERED.store(false, Ordering::Release);
            return Err(error);
        }
        // INVARIANT: The notifier was just registered.
        Ok(Self { _private: () })
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the notifier is registered.
        unsafe { bindings::knetstat_unwatch_modules() };
        IS_REGISTERED.store(false, Ordering::Release);
    }
}
