// SPDX-License-Identifier: GPL-2.0

//! The walk of the module, and what it remembers.

#[path = "../../../sockets/seen.rs"]
mod seen;
#[path = "../../../sockets/walk.rs"]
mod walk;

#[cfg(test)]
mod seen_tests;
#[cfg(test)]
mod walk_model;
#[cfg(test)]
mod walk_tests;
