// SPDX-License-Identifier: GPL-2.0

//! What is imported by a glob.

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
