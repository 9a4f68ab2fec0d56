// SPDX-License-Identifier: GPL-2.0

//! The part of the `kernel` crate without C behind it, for files of the module that are tested on
//! the host: that of the module's own stand-in.

#[path = "../../rust/kernel/error.rs"]
pub mod error;
#[path = "../../rust/kernel/ffi.rs"]
pub mod ffi;
