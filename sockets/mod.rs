// SPDX-License-Identifier: GPL-2.0

//! The kernel's hash tables of TCP and UDP sockets: the walk over them, and typed views of what is
//! in them.

#[cfg(knetstat_measure)]
pub(crate) mod held;
pub(crate) mod prefetch;
pub(crate) mod seen;
#[macro_use]
pub(crate) mod sock;
pub(crate) mod tables;
pub(crate) mod walk;
