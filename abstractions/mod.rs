// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over parts of the kernel that know nothing of sockets: what `rust/kernel` has,
//! or would take.

pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod mutex;
pub(crate) mod ns;
pub(crate) mod procnet;
pub(crate) mod rcu;
pub(crate) mod sched;
