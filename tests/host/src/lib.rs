// SPDX-License-Identifier: GPL-2.0

//! The parts of the module that depend on `core` alone, compiled for the host as they
//! are, for the tests beside this file.

#![expect(dead_code, reason = "the tests need less than the module")]
#![cfg_attr(
    not(test),
    expect(unused_imports, unused_macros, reason = "only the tests use them")
)]

#[path = "../../../diag.rs"]
mod diag;
#[path = "../../../format.rs"]
mod format;

#[cfg(test)]
mod diag_tests;
#[cfg(test)]
mod format_tests;
