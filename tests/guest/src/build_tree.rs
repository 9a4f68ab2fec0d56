// SPDX-License-Identifier: GPL-2.0

//! The build tree of the running kernel: its configuration, its headers and its programs.

use crate::guest::guest;
use anyhow::{bail, ensure, Context, Result};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The directory of the build trees of kernels that are compiled for the guests.
const CACHE: &str = "/cache";

/// The headers that define the options of TCP and UDP sockets, and their flags, for user space.
const OPTIONS: [&str; 6] = [
    "include/uapi/asm-generic/socket.h",
    "include/uapi/linux/in.h",
    "include/uapi/linux/in6.h",
    "include/uapi/linux/tcp.h",
    "include/uapi/linux/udp.h",
    "include/uapi/linux/net_tstamp.h",
];

/// The header that declares the sysctls of a network namespace in `/proc/sys/net/ipv4`.
const SYSCTLS: &str = "include/net/netns/ipv4.h";

/// The version of the running kernel, as `uname -r` prints it.
pub fn release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

/// The directory in which make(1) looks for the build tree by default.
pub fn usual_place() -> Result<PathBuf> {
    Ok(Path::new("/lib/modules").join(release()?).join("build"))
}

/// The build tree: in the usual place, or in the cache.
pub fn find() -> Result<PathBuf> {
    let release = release()?;
    let is_of_this_kernel = |tree: &Path| {
        let text = fs::read_to_string(tree.join("include/generated/utsrelease.h"));
        text.is_ok_and(|text| text.contains(&format!("\"{release}\"")))
    };
    let usual = usual_place()?;
    if is_of_this_kernel(&usual) {
        return Ok(usual);
    }
    let prefix = format!("{}-", guest().name);
    for dir in fs::read_dir(CACHE)? {
        let dir = dir?;
        let tree = dir.path();
        if dir.file_name().as_bytes().starts_with(prefix.as_bytes())
            && tree.join(".complete").exists()
            && is_of_this_kernel(&tree)
        {
            return Ok(tree);
        }
    }
    bail!("no build tree of Linux {release} in {CACHE}")
}

/// Whether the kernel was built with this symbol of Kconfig, into itself or as a module.
pub fn is_configured(symbol: &str) -> Result<bool> {
    let path = find()?.join(".config");
    let config = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let is_set = |symbol: &str| {
        config.lines().any(|line| {
            line.strip_prefix(symbol)
                .is_some_and(|value| value == "=y" || value == "=m")
        })
    };
    // No kernel in a guest lacks this.
    ensure!(is_set("CONFIG_INET"), "no configuration: {path:?}");
    Ok(is_set(symbol))
}

/// Whether the headers define this socket option or flag.
pub fn defines_option(name: &str) -> Result<bool> {
    let source = source()?;
    let mut text = String::new();
    for header in OPTIONS {
        text += &fs::read_to_string(source.join(header)).context(header)?;
    }
    // Every kernel defines this.
    ensure!(has_word(&text, "SO_KEEPALIVE"), "no options in {source:?}");
    Ok(has_word(&text, name))
}

/// Whether a header below `include` has a field of this name.
pub fn declares_field(header: &str, name: &str) -> Result<bool> {
    let text =
        fs::read_to_string(source()?.join("include").join(header)).context(header.to_owned())?;
    Ok(has_word(&text, name))
}

/// Whether a network namespace has this sysctl in `/proc/sys/net/ipv4`.
pub fn declares_sysctl(name: &str) -> Result<bool> {
    let source = source()?;
    let text = fs::read_to_string(source.join(SYSCTLS)).context(SYSCTLS)?;
    // Every kernel declares this.
    ensure!(
        has_word(&text, "sysctl_tcp_fin_timeout"),
        "no sysctls in {source:?}"
    );
    Ok(has_word(&text, &format!("sysctl_{name}")))
}

/// Whether the programs of the tree are for the machine that this program is for. A tree that was
/// made for cross-compiling has programs for another one.
pub fn has_native_programs() -> Result<bool> {
    let modpost = find()?.join("scripts/mod/modpost");
    Ok(elf_machine(&modpost)? == elf_machine(Path::new("/proc/self/exe"))?)
}

/// The directory of the headers: the tree, or the sources that it was made from.
fn source() -> Result<PathBuf> {
    let tree = find()?;
    let beside = usual_place()?.with_file_name("source");
    [tree.join("source"), beside, tree]
        .into_iter()
        .find(|dir| OPTIONS.iter().all(|header| dir.join(header).exists()))
        .context("no headers of the running kernel")
}

/// Whether a text of C has this identifier.
fn has_word(text: &str, word: &str) -> bool {
    let is_other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(is_other).any(|other| other == word)
}

/// The field `e_machine` of an ELF file's header.
fn elf_machine(path: &Path) -> Result<[u8; 2]> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(bytes.starts_with(b"\x7fELF"), "not in ELF: {path:?}");
    let machine = bytes.get(18..20).context("no header")?;
    Ok(machine.try_into()?)
}
