// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, by a name known to `ip netns`, by a process, or by a path.

use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::sched::{setns, CloneFlags};
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Enters a network namespace.
///
/// `name` is a path if it contains a slash. Otherwise it is a name known to ip-netns(8) or, if
/// there is no such name, the ID of a process.
pub fn enter(name: &str) -> Result<()> {
    let named = if name.contains('/') {
        PathBuf::from(name)
    } else {
        PathBuf::from(format!("/run/netns/{name}"))
    };
    let is_pid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let file = match File::open(&named) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && is_pid => {
            match File::open(format!("/proc/{name}/ns/net")) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    bail!("there is no network namespace {name}, and no process with this ID")
                }
                file => file.with_context(|| {
                    format!("cannot open the network namespace of the process {name}")
                })?,
            }
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            bail!("there is no network namespace {name}; list all names: ip netns list")
        }
        file => file.with_context(|| format!("cannot open the network namespace {name}"))?,
    };
    match setns(file, CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {
            bail!("entering a network namespace needs CAP_SYS_ADMIN; run as root")
        }
        result => result.with_context(|| format!("cannot enter the network namespace {name}")),
    }
}
