// SPDX-License-Identifier: GPL-2.0

//! The files of the module that use nothing of C. They are compiled for the host without change,
//! for the tests beside this file.

#![expect(dead_code, reason = "the tests need less than the module")]
#![cfg_attr(
    not(test),
    expect(unused_imports, unused_macros, reason = "only the tests use them")
)]

mod abstractions {
    pub(crate) mod mem;
}
#[path = "../../../diag.rs"]
mod diag;
#[path = "../../../format.rs"]
mod format;
mod sockets;
mod sockopts;

/// Flags for the tests of the language of the table.
mod bindings {
    pub(crate) const FLAG_LOOP: u32 = 3;
    pub(crate) const FLAG_CORK: u32 = 40;
}

#[cfg(test)]
mod diag_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
#[path = "../../guest/src/signs.rs"]
mod signs;
