// SPDX-License-Identifier: GPL-2.0

//! C types, as the `ffi` crate of Rust for Linux maps them: `char` is unsigned.

#![allow(non_camel_case_types, missing_docs)]

pub use core::ffi::c_void;

pub type c_char = u8;
pub type c_int = i32;
