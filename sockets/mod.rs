// SPDX-License-Identifier: GPL-2.0

//! The kernel's hash tables of TCP and UDP sockets: a walk over the tables, and typed views of
//! their entries.

#[cfg(knetstat_measure)]
pub(crate) mod held;
pub(crate) mod prefetch;
pub(crate) mod seen;
#[macro_use]
pub(crate) mod sock;
pub(crate) mod tables;
pub(crate) mod walk;
