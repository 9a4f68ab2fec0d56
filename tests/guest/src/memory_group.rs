// SPDX-License-Identifier: GPL-2.0

//! A memory control group that the test process is a member of.

use crate::harness::skip;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// The whole process in a group of its own. Dropping this moves it back to the root group.
pub struct InGroup(PathBuf);

impl InGroup {
    /// Creates the group and enters it. Skips the test if the kernel has no such groups.
    pub fn enter(name: &str) -> Result<Self> {
        let controllers = Path::new(ROOT).join("cgroup.controllers");
        let has_memory = fs::read_to_string(controllers)
            .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"));
        if !has_memory {
            return skip("this kernel has no memory control groups");
        }
        fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+memory").context("+memory")?;
        let group = Self(Path::new(ROOT).join(name));
        fs::create_dir(&group.0).with_context(|| format!("{:?}", group.0))?;
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
