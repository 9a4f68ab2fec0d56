// SPDX-License-Identifier: GPL-2.0

//! The language of the table of options, which uses nothing of the kernel.

#[path = "../../../sockopts/language.rs"]
pub(crate) mod language;

#[cfg(test)]
mod language_tests;
