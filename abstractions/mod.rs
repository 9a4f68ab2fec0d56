// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over parts of the kernel that are independent of sockets. `rust/kernel`
//! contains such abstractions, or would take them.

pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod mutex;
pub(crate) mod ns;
pub(crate) mod procnet;
pub(crate) mod rcu;
pub(crate) mod release;
pub(crate) mod sched;
