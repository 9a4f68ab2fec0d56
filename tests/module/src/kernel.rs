// SPDX-License-Identifier: GPL-2.0

//! A kernel's build tree: its configuration and what it exports.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The facts that a build tree gives about its kernel.
pub struct Kernel {
    config: HashMap<String, String>,
    exports: HashMap<String, u64>,
}

impl Kernel {
    /// Reads a build tree, as `/lib/modules/RELEASE/build`.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        let read = |name: &str| {
            let path = dir.as_ref().join(name);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let config = read("include/config/auto.conf")?
            .lines()
            .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let exports = read("Module.symvers")?
            .lines()
            .map(|line| {
                let mut fields = line.split('\t');
                let crc = fields.next().and_then(|crc| crc.strip_prefix("0x"));
                let crc = u64::from_str_radix(crc.context("no CRC")?, 16)?;
                Ok((fields.next().context("no name")?.to_owned(), crc))
            })
            .collect::<Result<_>>()
            .context("Module.symvers")?;
        Ok(Self { config, exports })
    }

    /// The value of an option, by its name without `CONFIG_`.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.config.get(option).map(String::as_str)
    }

    /// Whether one of these options is `y`. Some options have been renamed.
    pub fn has(&self, options: &[&str]) -> bool {
        options.iter().any(|option| self.value(option) == Some("y"))
    }

    /// The CRC of a symbol that the kernel or one of its modules exports.
    pub fn export(&self, symbol: &str) -> Option<u64> {
        self.exports.get(symbol).copied()
    }
}
