// SPDX-License-Identifier: GPL-2.0

//! The signs of the Diag column. The host tests compare them with those of `diag.rs`; the
//! fuzzers use this file, too.

/// All values of the column. The first one is that of a connection without problems.
pub const SIGNS: [&str; 6] = ["", ">|", "|<", ">|<", ">#", ">#|<"];
