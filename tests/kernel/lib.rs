// SPDX-License-Identifier: GPL-2.0

//! The part of the module's stand-in for the `kernel` crate that needs no C code. Files of the
//! module are tested on the host with it.

#[path = "../../rust/kernel/error.rs"]
pub mod error;
#[path = "../../rust/kernel/ffi.rs"]
pub mod ffi;
