// SPDX-License-Identifier: GPL-2.0

//! Features of a kernel or a machine that some tests need, and whether a guest has them.
//!
//! A test may be skipped only if the guest lacks the feature that the test names. That is checked
//! without the module, and in another way than the test does it. So a test that no longer runs in
//! some guest fails there, and a new guest needs no list of tests to skip.

use crate::build_tree;
use crate::guest::{guest, Scale};
use anyhow::Result;
use std::{fmt, fs};

/// A feature that not every guest has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    /// A part of the kernel, by its symbol of Kconfig. Looked up in the kernel's configuration.
    Config(&'static str),
    /// A socket option, or a flag of one, by its name. Looked up in the kernel's headers.
    Option(&'static str),
    /// A field of the kernel, by the header below `include` and its name there. Some kernels define
    /// an option for user space, and do not support it.
    Field(&'static str, &'static str),
    /// A sysctl in `/proc/sys/net/ipv4`, by its name. Looked up in the kernel's headers.
    Sysctl(&'static str),
    /// A memory control group other than the root that this process is in. Looked up in
    /// `/proc/self/cgroup`.
    MemoryGroup,
    /// Code that runs at the speed of the machine, so that times can be compared. Declared by the
    /// guest's file, as `SCALE`.
    NativeSpeed,
    /// A build tree whose programs run in the guest. Looked up in the ELF header of one of them.
    NativeBuildTree,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Feature::Config(symbol) => f.write_str(symbol),
            Feature::Option(name) => f.write_str(name),
            Feature::Field(_, name) => write!(f, "a field {name}"),
            Feature::Sysctl(name) => write!(f, "net.ipv4.{name}"),
            Feature::MemoryGroup => f.write_str("a memory control group for this process"),
            Feature::NativeSpeed => f.write_str("native speed"),
            Feature::NativeBuildTree => f.write_str("a build tree whose programs run here"),
        }
    }
}

impl Feature {
    /// Whether this guest has it.
    pub fn is_here(self) -> Result<bool> {
        match self {
            Feature::Config(symbol) => build_tree::is_configured(symbol),
            Feature::Option(name) => build_tree::defines_option(name),
            Feature::Field(header, name) => build_tree::declares_field(header, name),
            Feature::Sysctl(name) => build_tree::declares_sysctl(name),
            Feature::MemoryGroup => is_in_memory_group(),
            Feature::NativeSpeed => Ok(matches!(guest().scale, Scale::Fast | Scale::Checked)),
            Feature::NativeBuildTree => build_tree::has_native_programs(),
        }
    }
}

/// Whether this process is in a control group other than the root, and the kernel can count memory
/// in groups.
fn is_in_memory_group() -> Result<bool> {
    if !build_tree::is_configured("CONFIG_MEMCG")? {
        return Ok(false);
    }
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    Ok(groups
        .lines()
        .filter_map(|line| line.strip_prefix("0::"))
        .any(|group| group != "/"))
}
