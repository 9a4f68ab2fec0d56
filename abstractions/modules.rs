// SPDX-License-Identifier: GPL-2.0

//! Keeping the text of other modules while references to sockets are held.
//!
//! C headers: `include/linux/module.h`, `include/linux/notifier.h`, `include/linux/rwsem.h`
//!
//! `sk_destruct` of a socket may be a function of a module, such as l2tp or tls, that keeps no
//! reference to that module: it may go as soon as its sockets are closed. A task that holds a
//! reference to a socket must therefore drop it before the text of any module is freed.
//! `delete_module(2)` announces that to notifiers, after the module's own exit function. Ours waits
//! for all holds, and then by `rcu_barrier()` for what the last references left to RCU.
//!
//! What this does not do: keep what the exit function of a module destroys. Nor does it wait for a
//! destructor that the kernel left to a work queue, as it does while a process listens for the end
//! of sockets (`sock_diag_broadcast_destroy()`). Both need a destructor in a module. The walk keeps
//! no UDP socket that can have one, for encapsulation. On TCP sockets, only kernel TLS on a network
//! card has one, and the driver of the card keeps that module.

use crate::bindings;
use core::marker::PhantomData;
use kernel::error::{
    to_result,
    Result, //
};

/// While it lives, no module's text is freed.
///
/// Not `Send`: a semaphore is released by the task that took it.
///
/// # Invariants
///
/// The task that made the value holds the semaphore of `bindings/helpers.c` for reading.
pub(crate) struct Guard {
    _not_send: PhantomData<*mut ()>,
}

impl Guard {
    /// Makes modules that go wait. May sleep: until one that is about to go has gone on.
    ///
    /// # Errors
    ///
    /// `EINTR` if the task is killed meanwhile.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: `down_read_killable()` wants a context that may sleep. The callers hold the mutex
        // of an open file and no spinlock. None holds the semaphore already, nor what the notifier
        // waits for before it takes it.
        to_result(unsafe { bindings::knetstat_hold_modules() })?;
        // INVARIANT: It was just taken.
        Ok(Self {
            _not_send: PhantomData,
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, this task holds the semaphore for reading.
        unsafe { bindings::knetstat_release_modules() };
    }
}

/// The notifier, registered while this value lives.
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
    /// Those of `register_module_notifier()`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The helper is to be called once before `knetstat_unwatch_modules()`. The init of
        // the module calls this, and keeps the value.
        to_result(unsafe { bindings::knetstat_watch_modules() })?;
        // INVARIANT: It was just registered.
        Ok(Self { _private: () })
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the notifier is registered.
        unsafe { bindings::knetstat_unwatch_modules() };
    }
}
