// SPDX-License-Identifier: GPL-2.0

//! An empty crate, which rustc wants to link to every crate without `std`. What LLVM calls by
//! itself (`memcpy()` and its like) the kernel has.

#![feature(compiler_builtins)]
#![allow(internal_features)]
#![compiler_builtins]
#![no_std]
