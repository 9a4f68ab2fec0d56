// SPDX-License-Identifier: GPL-2.0

//! Kernel modules: the one under test, and the helpers in `tests/modules`.

use crate::guest::guest;
use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use std::ffi::CString;
use std::fs;
use std::path::Path;

/// Loads the module in this file, in the network namespace of the calling thread.
pub fn insert(ko: &Path, parameters: &str) -> nix::Result<()> {
    let file = fs::File::open(ko).map_err(|_| Errno::ENOENT)?;
    let parameters = CString::new(parameters).map_err(|_| Errno::EINVAL)?;
    finit_module(file, &parameters, ModuleInitFlags::empty())
}

/// Loads one of `tests/modules`, as [`insert`].
pub fn insert_helper(name: &str, parameters: &str) -> Result<()> {
    let ko = guest().dir.join(format!("{name}.ko"));
    ensure!(ko.exists(), "there is no {}", ko.display());
    insert(&ko, parameters).with_context(|| format!("loading {name}"))
}

/// Unloads a module that has no users.
pub fn remove(name: &str) -> Result<()> {
    delete_module(&CString::new(name)?, DeleteModuleFlags::O_NONBLOCK)
        .with_context(|| format!("unloading {name}"))
}
