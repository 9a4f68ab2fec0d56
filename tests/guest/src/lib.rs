// SPDX-License-Identifier: GPL-2.0

//! The code that the programs in guests share: the guest tests (`main.rs`), `tests/load` and
//! `tests/volume`.

pub mod background_readers;
pub mod build_tree;
pub mod features;
pub mod grammar;
pub mod guest;
pub mod harness;
pub mod klog;
pub mod modules;
pub mod netns;
pub mod options;
pub mod reference;
pub mod rows;
pub mod signs;
pub mod sockets;
pub mod tls;
