// SPDX-License-Identifier: GPL-2.0

//! Memory control groups for tests.

use crate::features::Feature;
use crate::harness::skip;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Creates a group below the root, and returns its directory. Skips the test if the kernel has no
/// such groups.
pub fn create(name: &str) -> Result<PathBuf> {
    let root = Path::new(ROOT);
    let has_memory = fs::read_to_string(root.join("cgroup.controllers"))
        .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"));
    if !has_memory {
        return skip(
            Feature::Config("CONFIG_MEMCG"),
            "there are no memory control groups",
        );
    }
    fs::write(root.join("cgroup.subtree_control"), "+memory").context("+memory")?;
    let group = root.join(name);
    fs::create_dir(&group).with_context(|| group.display().to_string())?;
    Ok(group)
}

/// A group that contains this whole process. Dropping this moves the process back to the root
/// group.
pub struct InGroup(PathBuf);

impl InGroup {
    /// Creates the group and enters it. Skips the test if the kernel has no such groups.
    pub fn enter(name: &str) -> Result<Self> {
        let group = Self(create(name)?);
        fs::write(group.0.join("cgroup.procs"), "0").context("cgroup.procs")?;
        Ok(group)
    }

    /// The bytes that are charged to the group: `memory.current`.
    pub fn charged(&self) -> Result<u64> {
        let text = fs::read_to_string(self.0.join("memory.current"))?;
        Ok(text.trim().parse()?)
    }
}

impl Drop for InGroup {
    fn drop(&mut self) {
        let _ = fs::write(Path::new(ROOT).join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&self.0);
    }
}
