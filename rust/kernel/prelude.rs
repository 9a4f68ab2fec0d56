// SPDX-License-Identifier: GPL-2.0

//! The names that a glob imports.

pub use crate::error::{
    Error,
    Result, //
};
pub use crate::{
    module,
    pr_err,
    pr_info,
    ThisModule, //
};
