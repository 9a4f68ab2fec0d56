// SPDX-License-Identifier: GPL-2.0

//! Files of the module that touch nothing of C, compiled for the host as they are, for the tests
//! beside this file.

#![expect(dead_code, reason = "the tests need less than the module")]
#![cfg_attr(
    not(test),
    expect(unused_imports, unused_macros, reason = "only the tests use them")
)]

#[path = "../../../diag.rs"]
mod diag;
#[path = "../../../format.rs"]
mod format;
mod mem;
#[path = "../../../seen.rs"]
mod seen;
#[path = "../../../walk.rs"]
mod walk;

#[cfg(test)]
mod diag_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod seen_tests;
#[cfg(test)]
mod walk_model;
#[cfg(test)]
mod walk_tests;
